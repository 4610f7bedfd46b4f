// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {ISettlement} from "../src/interfaces/ISettlement.sol";
import {Policy, PublicKey} from "../src/libraries/Hashes.sol";
import {Payouts} from "../src/libraries/Payouts.sol";
import {NaiveTree} from "./support/NaiveTree.sol";
import {SettlementFixture} from "./support/SettlementFixture.sol";

contract SettlementFuzzTest is SettlementFixture {
    function setUp() public {
        _deploy();
    }

    /// @notice A batch is accepted exactly when it satisfies every rule, and then takes exactly its charge.
    function testFuzz_postBatch_obeysEachRule(
        uint64 expectedId,
        uint256 countries,
        uint256 compute,
        uint256 earned,
        uint256 amount,
        uint256 limit
    ) public {
        expectedId = uint64(_bound(expectedId, 0, 2));
        amount = _bound(amount, 0, DEPOSIT * 2);
        earned = earned % 4 == 0 ? _bound(earned, 0, DEPOSIT) : amount;
        limit = _bound(limit, 0, DEPOSIT * 2);
        vm.prank(CONSUMER);
        settlement.setBatchLimit(limit);

        Policy memory policy = _policy();
        policy.compute = countries % 3 == 0 ? compute : compute | countries;
        ISettlement.PolicyUse[] memory uses = new ISettlement.PolicyUse[](1);
        uses[0] = ISettlement.PolicyUse(policy, countries);
        vm.prank(POSTER);
        (bool taken,) = address(settlement).call(_call(expectedId, earned, uses, amount));

        bool isFine = expectedId == 1 && countries & ~policy.compute == 0 && amount <= limit && amount <= DEPOSIT
            && earned == amount;
        vm.assertTrue(taken == isFine, "accepted exactly when it is valid");
        (uint256 balance,) = settlement.account(CONSUMER);
        vm.assertEq(balance, taken ? DEPOSIT - amount : DEPOSIT, "balance");
        vm.assertEq(settlement.totalCharged(), taken ? amount : 0, "charged");
    }

    /// @notice Two keys of one tree are paid their own leaf, once, and only with their own signature.
    function testFuzz_claim_paysEachKeyItsLeafOnce(uint256 key1, uint256 key2, uint96 first, uint96 second, address to)
        public
    {
        key1 = _bound(key1, 1, P256_ORDER - 1);
        key2 = _bound(key2, 1, P256_ORDER - 1);
        vm.assume(key1 != key2 && to != address(0) && to != address(settlement));
        uint256 a = _bound(first, 1, LIMIT / 2);
        uint256 b = _bound(second, 1, LIMIT / 2);
        bytes32[] memory leaves = new bytes32[](2);
        leaves[0] = _leaf(key1, a);
        leaves[1] = _leaf(key2, b);
        _post(NaiveTree.root(leaves), a + b);

        vm.assertTrue(_tryClaim(key1, a, NaiveTree.prove(leaves, 0), to), "claim");
        vm.assertEq(token.balanceOf(to), a, "first paid");
        vm.assertFalse(_tryClaim(key1, a, NaiveTree.prove(leaves, 0), to), "not twice");
        vm.assertFalse(_tryClaim(key1, b, NaiveTree.prove(leaves, 1), to), "not another's leaf");
        vm.assertTrue(_tryClaim(key2, b, NaiveTree.prove(leaves, 1), to), "claim");
        vm.assertEq(token.balanceOf(to), a + b, "both paid");
        vm.assertEq(settlement.totalPaid(), a + b, "total");
    }

    /// @notice Claims never pay more than was charged, whatever the poster promises.
    function testFuzz_claim_neverPaysMoreThanWasCharged(uint256 key, uint128 promised, uint256 charged) public {
        key = _bound(key, 1, P256_ORDER - 1);
        charged = _bound(charged, 0, LIMIT);
        uint256 cumulative = _bound(promised, 1, DEPOSIT * 4);
        _post(_leaf(key, cumulative), charged);
        bool paid = _tryClaim(key, cumulative, _alone(), PAYOUT);
        vm.assertTrue(paid == (cumulative <= charged), "paid exactly when it was charged");
        vm.assertLe(token.balanceOf(PAYOUT), charged, "at most what was charged");
    }

    /// @notice A signature with any changed bit pays nobody.
    function testFuzz_claim_refusesAChangedSignature(uint256 key, uint16 bit) public {
        key = _bound(key, 1, P256_ORDER - 1);
        _post(_leaf(key, 500), 500);
        ISettlement.P256Signature memory signature = _signPayout(key, PAYOUT);
        if (bit % 2 == 0) signature.r ^= bytes32(1 << (bit % 256));
        else signature.s ^= bytes32(1 << (bit % 256));
        bytes32 id = Payouts.keyId(_key(key));
        PublicKey memory publicKey = _key(key);
        vm.expectRevert(abi.encodeWithSelector(ISettlement.InvalidSignature.selector, id, 0));
        settlement.claim(publicKey, 500, _alone(), PAYOUT, signature);
    }

    function _call(uint64 expectedId, uint256 earned, ISettlement.PolicyUse[] memory uses, uint256 amount)
        private
        view
        returns (bytes memory)
    {
        ISettlement.Charge[] memory charges = _charges(CONSUMER, amount);
        return abi.encodeCall(
            settlement.postBatch, (expectedId, 0, keccak256("r"), 1, LOG_ROOT, 0, earned, uses, charges)
        );
    }
}
