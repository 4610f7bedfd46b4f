// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {Ownable} from "@openzeppelin/contracts/access/Ownable.sol";
import {ISettlement} from "../src/interfaces/ISettlement.sol";
import {Hashes, PublicKey} from "../src/libraries/Hashes.sol";
import {Payouts} from "../src/libraries/Payouts.sol";
import {SettlementFixture} from "./support/SettlementFixture.sol";

contract SettlementTest is SettlementFixture {
    function setUp() public {
        _deploy();
    }

    function test_deposit_addsToTheConsumerWhoeverPays() public {
        _fund(CONSUMER, 5);
        (uint256 balance,) = settlement.account(CONSUMER);
        vm.assertEq(balance, DEPOSIT + 5, "balance");
        vm.assertEq(token.balanceOf(address(settlement)), DEPOSIT + 5, "held");
    }

    function test_deposit_revertsForNobody() public {
        vm.expectRevert(abi.encodeWithSelector(ISettlement.ZeroAddress.selector));
        settlement.deposit(address(0), 1);
    }

    function test_withdraw_paysAfterTheDelay() public {
        vm.prank(CONSUMER);
        settlement.requestWithdrawal(400);
        vm.warp(block.timestamp + settlement.WITHDRAWAL_DELAY());
        vm.prank(CONSUMER);
        settlement.withdraw();
        vm.assertEq(token.balanceOf(CONSUMER), 400, "paid");
        (uint256 balance,) = settlement.account(CONSUMER);
        vm.assertEq(balance, DEPOSIT - 400, "balance");
    }

    function test_withdraw_revertsBeforeTheDelay() public {
        vm.prank(CONSUMER);
        settlement.requestWithdrawal(400);
        uint256 availableAt = block.timestamp + settlement.WITHDRAWAL_DELAY();
        vm.warp(availableAt - 1);
        vm.expectRevert(abi.encodeWithSelector(ISettlement.WithdrawalNotReady.selector, availableAt));
        vm.prank(CONSUMER);
        settlement.withdraw();
    }

    function test_withdraw_revertsASecondTime() public {
        test_withdraw_paysAfterTheDelay();
        vm.expectRevert(abi.encodeWithSelector(ISettlement.WithdrawalNotReady.selector, 0));
        vm.prank(CONSUMER);
        settlement.withdraw();
    }

    function test_withdraw_leavesWhatWasChargedInTheMeantime() public {
        vm.prank(CONSUMER);
        settlement.requestWithdrawal(DEPOSIT);
        _post(bytes32(0), LIMIT);
        vm.warp(block.timestamp + settlement.WITHDRAWAL_DELAY());
        vm.prank(CONSUMER);
        settlement.withdraw();
        vm.assertEq(token.balanceOf(CONSUMER), DEPOSIT - LIMIT, "paid");
    }

    function test_postBatch_keepsRootsAndCharges() public {
        bytes32 earnings = _leaf(NODE_KEY, 700);
        vm.expectEmit(true, true, true, true);
        emit ISettlement.BatchPosted(1, keccak256("receipts"), 1, LOG_ROOT, earnings, 700);
        vm.expectEmit(true, true, true, true);
        emit ISettlement.PolicyUsed(1, Hashes.policy(_policy()), 1 << 14);
        vm.expectEmit(true, true, true, true);
        emit ISettlement.Charged(1, CONSUMER, 700);
        _post(earnings, 700);
        vm.assertEq(settlement.receiptRoot(1), keccak256("receipts"), "receipt root");
        vm.assertEq(settlement.earningsRoot(), earnings, "earnings root");
        vm.assertEq(settlement.nextBatchId(), 2, "next");
        (uint256 balance,) = settlement.account(CONSUMER);
        vm.assertEq(balance, DEPOSIT - 700, "balance");
    }

    function test_postBatch_revertsForAnyoneButAPoster() public {
        vm.expectRevert(abi.encodeWithSelector(ISettlement.Forbidden.selector, address(this)));
        settlement.postBatch(1, 0, keccak256("r"), 1, 0, 0, 1, _uses(1 << 14), _charges(CONSUMER, 1));
    }

    function test_postBatch_revertsForTheOwner() public {
        vm.expectRevert(abi.encodeWithSelector(ISettlement.Forbidden.selector, OWNER));
        vm.prank(OWNER);
        settlement.postBatch(1, 0, keccak256("r"), 1, 0, 0, 1, _uses(1 << 14), _charges(CONSUMER, 1));
    }

    function test_postBatch_revertsWhenPostedTwice() public {
        _post(bytes32(0), 1);
        vm.expectRevert(abi.encodeWithSelector(ISettlement.UnexpectedBatch.selector, 1, 2));
        vm.prank(POSTER);
        settlement.postBatch(1, 0, keccak256("receipts"), 1, 0, 0, 1, _uses(1 << 14), _charges(CONSUMER, 1));
    }

    function test_postBatch_revertsWhenOneIsLeftOut() public {
        vm.expectRevert(abi.encodeWithSelector(ISettlement.UnexpectedBatch.selector, 2, 1));
        vm.prank(POSTER);
        settlement.postBatch(2, 0, keccak256("receipts"), 1, 0, 0, 1, _uses(1 << 14), _charges(CONSUMER, 1));
    }

    function test_postBatch_revertsUponAnotherBatchThanTheLast() public {
        _post(bytes32(0), 1);
        bytes32 last = keccak256("receipts");
        vm.expectRevert(abi.encodeWithSelector(ISettlement.UnexpectedParent.selector, keccak256("other"), last));
        vm.prank(POSTER);
        settlement.postBatch(2, keccak256("other"), last, 1, 0, 0, 1, _uses(1 << 14), _charges(CONSUMER, 1));
    }

    function test_postBatch_revertsWhenEmpty() public {
        vm.expectRevert(abi.encodeWithSelector(ISettlement.EmptyBatch.selector));
        vm.prank(POSTER);
        settlement.postBatch(1, 0, keccak256("r"), 0, 0, 0, 1, _uses(1 << 14), _charges(CONSUMER, 1));
    }

    function test_postBatch_revertsOutsideThePolicyNamingIt() public {
        bytes32 hash = Hashes.policy(_policy());
        vm.expectRevert(abi.encodeWithSelector(ISettlement.ResidencyUnsatisfiable.selector, hash, 1 << 200));
        vm.prank(POSTER);
        settlement.postBatch(1, 0, keccak256("r"), 1, 0, 0, 1, _uses((1 << 14) | (1 << 200)), _charges(CONSUMER, 1));
    }

    function test_postBatch_revertsAboveTheConsumersLimit() public {
        vm.expectRevert(abi.encodeWithSelector(ISettlement.PaymentRequired.selector, CONSUMER, LIMIT + 1, LIMIT));
        vm.prank(POSTER);
        settlement.postBatch(1, 0, keccak256("r"), 1, 0, 0, LIMIT + 1, _uses(1 << 14), _charges(CONSUMER, LIMIT + 1));
    }

    function test_postBatch_revertsAboveTheBalance() public {
        vm.prank(CONSUMER);
        settlement.setBatchLimit(DEPOSIT * 2);
        vm.expectRevert(abi.encodeWithSelector(ISettlement.PaymentRequired.selector, CONSUMER, DEPOSIT + 1, DEPOSIT));
        vm.prank(POSTER);
        settlement.postBatch(1, 0, keccak256("r"), 1, 0, 0, DEPOSIT + 1, _uses(1 << 14), _charges(CONSUMER, DEPOSIT + 1));
    }

    function test_postBatch_takesNothingFromWhoSetNoLimit() public {
        address other = address(0xD00D);
        _fund(other, 10);
        vm.expectRevert(abi.encodeWithSelector(ISettlement.PaymentRequired.selector, other, 1, 0));
        vm.prank(POSTER);
        settlement.postBatch(1, 0, keccak256("r"), 1, 0, 0, 1, _uses(1 << 14), _charges(other, 1));
    }

    function test_postBatch_revertsWhenAConsumerStandsTwice() public {
        ISettlement.Charge[] memory charges = new ISettlement.Charge[](2);
        charges[0] = ISettlement.Charge(CONSUMER, LIMIT);
        charges[1] = ISettlement.Charge(CONSUMER, LIMIT);
        vm.expectRevert(abi.encodeWithSelector(ISettlement.ChargesUnordered.selector, CONSUMER));
        vm.prank(POSTER);
        settlement.postBatch(1, 0, keccak256("r"), 1, 0, 0, 2 * LIMIT, _uses(1 << 14), charges);
    }

    function test_postBatch_revertsWhenChargesAreNotWhatWasEarned() public {
        vm.expectRevert(abi.encodeWithSelector(ISettlement.ChargesDiffer.selector, 8, 7));
        vm.prank(POSTER);
        settlement.postBatch(1, 0, keccak256("r"), 1, 0, 0, 8, _uses(1 << 14), _charges(CONSUMER, 7));
    }

    function test_claim_paysTheSignedAddressWhoeverSends() public {
        _post(_leaf(NODE_KEY, 700), 700);
        ISettlement.P256Signature memory signature = _signPayout(NODE_KEY, PAYOUT);
        PublicKey memory key = _key(NODE_KEY);
        vm.expectEmit(true, true, true, true);
        emit ISettlement.Claimed(Payouts.keyId(key), PAYOUT, 700, 700);
        vm.prank(address(0xBAD));
        settlement.claim(key, 700, _alone(), PAYOUT, signature);
        vm.assertEq(token.balanceOf(PAYOUT), 700, "paid");
        vm.assertEq(token.balanceOf(address(0xBAD)), 0, "sender");
    }

    function test_claim_paysOnlyWhatIsNew() public {
        _post(_leaf(NODE_KEY, 700), 700);
        _claim(NODE_KEY, 700, PAYOUT);
        _post(_leaf(NODE_KEY, 950), 250);
        _claim(NODE_KEY, 950, PAYOUT);
        vm.assertEq(token.balanceOf(PAYOUT), 950, "paid");
        (uint256 paid, uint256 nonce) = settlement.payee(_key(NODE_KEY));
        vm.assertEq(paid, 950, "cumulative");
        vm.assertEq(nonce, 2, "nonce");
    }

    function test_claim_revertsIfAlreadyPaid() public {
        _post(_leaf(NODE_KEY, 700), 700);
        _claim(NODE_KEY, 700, PAYOUT);
        ISettlement.P256Signature memory signature = _signPayout(NODE_KEY, PAYOUT);
        PublicKey memory key = _key(NODE_KEY);
        vm.expectRevert(abi.encodeWithSelector(ISettlement.AlreadyPaid.selector, Payouts.keyId(key), 700));
        settlement.claim(key, 700, _alone(), PAYOUT, signature);
        vm.assertEq(token.balanceOf(PAYOUT), 700, "paid once");
    }

    function test_claim_revertsForAnotherAddressThanSigned() public {
        _post(_leaf(NODE_KEY, 700), 700);
        ISettlement.P256Signature memory signature = _signPayout(NODE_KEY, PAYOUT);
        PublicKey memory key = _key(NODE_KEY);
        vm.expectRevert(abi.encodeWithSelector(ISettlement.InvalidSignature.selector, Payouts.keyId(key), 0));
        settlement.claim(key, 700, _alone(), address(0xBAD), signature);
    }

    function test_claim_revertsForAnotherKeysSignature() public {
        _post(_leaf(NODE_KEY, 700), 700);
        PublicKey memory key = _key(NODE_KEY);
        ISettlement.P256Signature memory signature = _sign(NODE_KEY + 1, settlement.payoutDigest(key, PAYOUT));
        vm.expectRevert(abi.encodeWithSelector(ISettlement.InvalidSignature.selector, Payouts.keyId(key), 0));
        settlement.claim(key, 700, _alone(), PAYOUT, signature);
    }

    function test_claim_revertsForAHighS() public {
        _post(_leaf(NODE_KEY, 700), 700);
        PublicKey memory key = _key(NODE_KEY);
        ISettlement.P256Signature memory signature = _signPayout(NODE_KEY, PAYOUT);
        signature.s = bytes32(P256_ORDER - uint256(signature.s));
        vm.expectRevert(abi.encodeWithSelector(ISettlement.InvalidSignature.selector, Payouts.keyId(key), 0));
        settlement.claim(key, 700, _alone(), PAYOUT, signature);
    }

    function test_claim_revertsForAReplayedSignature() public {
        _post(_leaf(NODE_KEY, 700), 700);
        ISettlement.P256Signature memory signature = _signPayout(NODE_KEY, PAYOUT);
        PublicKey memory key = _key(NODE_KEY);
        settlement.claim(key, 700, _alone(), PAYOUT, signature);
        _post(_leaf(NODE_KEY, 950), 250);
        vm.expectRevert(abi.encodeWithSelector(ISettlement.InvalidSignature.selector, Payouts.keyId(key), 1));
        settlement.claim(key, 950, _alone(), PAYOUT, signature);
    }

    function test_claim_revertsForALeafThatIsNotInTheTree() public {
        _post(_leaf(NODE_KEY, 700), 700);
        ISettlement.P256Signature memory signature = _signPayout(NODE_KEY, PAYOUT);
        bytes32 leaf = _leaf(NODE_KEY, 701);
        vm.expectRevert(abi.encodeWithSelector(ISettlement.InvalidProof.selector, leaf));
        settlement.claim(_key(NODE_KEY), 701, _alone(), PAYOUT, signature);
    }

    function test_claim_ofALyingRootNeverTouchesDeposits() public {
        _post(_leaf(NODE_KEY, DEPOSIT), 700);
        ISettlement.P256Signature memory signature = _signPayout(NODE_KEY, PAYOUT);
        vm.expectRevert(abi.encodeWithSelector(ISettlement.EarningsExceedCharges.selector, DEPOSIT, 700));
        settlement.claim(_key(NODE_KEY), uint128(DEPOSIT), _alone(), PAYOUT, signature);
    }

    function test_setPoster_revertsForTheOwnersOwnKey() public {
        vm.expectRevert(abi.encodeWithSelector(ISettlement.Forbidden.selector, OWNER));
        vm.prank(OWNER);
        settlement.setPoster(OWNER, true);
    }

    function test_setPoster_revertsForStrangers() public {
        vm.expectRevert(abi.encodeWithSelector(Ownable.OwnableUnauthorizedAccount.selector, address(this)));
        settlement.setPoster(address(this), true);
    }

    function test_acceptOwnership_revertsForAPoster() public {
        vm.prank(OWNER);
        settlement.transferOwnership(POSTER);
        vm.expectRevert(abi.encodeWithSelector(ISettlement.Forbidden.selector, POSTER));
        vm.prank(POSTER);
        settlement.acceptOwnership();
    }

    function test_setHubKey_registersAndRemoves() public {
        PublicKey memory key = _key(NODE_KEY);
        vm.assertFalse(settlement.isHubKey(key.x, key.y), "unknown");
        vm.prank(OWNER);
        settlement.setHubKey(key.x, key.y, true);
        vm.assertTrue(settlement.isHubKey(key.x, key.y), "registered");
        vm.prank(OWNER);
        settlement.setHubKey(key.x, key.y, false);
        vm.assertFalse(settlement.isHubKey(key.x, key.y), "removed");
    }

    function test_p256Precompile_isThere() public view {
        (, bytes memory answer) = address(0x100).staticcall(_precompileInput());
        vm.assertEq(answer.length, 32, "P256VERIFY answers");
        vm.assertEq(uint256(bytes32(answer)), 1, "valid");
    }

    function _precompileInput() private pure returns (bytes memory) {
        bytes32 digest = sha256("anything");
        (bytes32 r, bytes32 s) = vm.signP256(NODE_KEY, digest);
        PublicKey memory key = _key(NODE_KEY);
        return abi.encode(digest, r, s, key.x, key.y);
    }
}
