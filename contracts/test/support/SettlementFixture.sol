// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {ISettlement} from "../../src/interfaces/ISettlement.sol";
import {Earnings, Hashes, Policy, PublicKey, Receipt} from "../../src/libraries/Hashes.sol";
import {InclusionProof} from "../../src/libraries/Inclusion.sol";
import {Settlement} from "../../src/Settlement.sol";
import {TestUsd} from "../../src/TestUsd.sol";
import {ForgeTest} from "./ForgeTest.sol";

/// @notice A deployed settlement with a poster, one funded consumer and P-256 receipt keys.
abstract contract SettlementFixture is ForgeTest {
    uint256 internal constant P256_ORDER = 0xFFFFFFFF00000000FFFFFFFFFFFFFFFFBCE6FAADA7179E84F3B9CAC2FC632551;
    uint256 internal constant DEPOSIT = 1_000_000;
    uint256 internal constant LIMIT = 100_000;
    /// @dev Two countries that the policy allows.
    uint256 internal constant COMPUTE = (1 << 14) | (1 << 57);

    address internal constant OWNER = address(0xA11CE);
    address internal constant POSTER = address(0xB0B);
    address internal constant CONSUMER = address(0xC0FFEE);
    address internal constant PAYOUT = address(0xFEED);
    bytes32 internal constant LOG_ROOT = keccak256("logs");
    uint256 internal constant NODE_KEY = 0x1234567;

    TestUsd internal token;
    Settlement internal settlement;

    function _deploy() internal {
        token = new TestUsd();
        settlement = new Settlement(token, OWNER);
        vm.prank(OWNER);
        settlement.setPoster(POSTER, true);
        _fund(CONSUMER, DEPOSIT);
        vm.prank(CONSUMER);
        settlement.setBatchLimit(LIMIT);
    }

    function _fund(address consumer, uint256 amount) internal {
        token.mint(address(this), amount);
        token.approve(address(settlement), amount);
        settlement.deposit(consumer, amount);
    }

    function _policy() internal pure returns (Policy memory policy) {
        policy.tenant = keccak256("acme");
        policy.id = keccak256("eu-only");
        policy.version = 1;
        policy.ingress = type(uint256).max;
        policy.compute = COMPUTE;
        policy.minEvidence = 2;
        policy.retentionDays = 30;
        policy.network = keccak256("clinics");
        policy.regions = 20261101;
        policy.vouchers = keccak256("operator own");
    }

    function _receipt(uint256 number) internal pure returns (Receipt memory receipt) {
        receipt.ticket.jobId = "job_0123456789abcdef0123456789abcdef";
        receipt.ticket.attempt = 1;
        receipt.ticket.hub = "eu-west-0";
        receipt.ticket.nodeId = "12D3KooWDpJ7As7BWAwRMfu1VU2WCqNjvq387JEYKDBj4kx6nXTN";
        receipt.ticket.tenant = "acme";
        receipt.ticket.policyHash = Hashes.policy(_policy());
        receipt.ticket.allowed = COMPUTE;
        receipt.ticket.place.country = 57;
        receipt.ticket.place.possible = 1 << 57;
        // forge-lint: disable-next-line(unsafe-typecast)
        receipt.units = uint64(number);
    }

    function _uses(uint256 countries) internal pure returns (ISettlement.PolicyUse[] memory uses) {
        uses = new ISettlement.PolicyUse[](1);
        uses[0] = ISettlement.PolicyUse(_policy(), countries);
    }

    function _charges(address consumer, uint256 amount) internal pure returns (ISettlement.Charge[] memory charges) {
        charges = new ISettlement.Charge[](1);
        charges[0] = ISettlement.Charge(consumer, amount);
    }

    /// @dev Posts the next batch, which charges the consumer.
    function _post(bytes32 earningsRoot, uint256 amount) internal {
        _postFor(CONSUMER, earningsRoot, amount);
    }

    function _postFor(address consumer, bytes32 earningsRoot, uint256 amount) internal {
        ISettlement.Charge[] memory charges = _charges(consumer, amount);
        uint64 id = settlement.nextBatchId();
        bytes32 parent = settlement.receiptRoot(id - 1);
        vm.prank(POSTER);
        settlement.postBatch(
            id, parent, keccak256("receipts"), 1, LOG_ROOT, earningsRoot, amount, _uses(1 << 14), charges
        );
    }

    function _key(uint256 privateKey) internal pure returns (PublicKey memory) {
        (uint256 x, uint256 y) = vm.publicKeyP256(privateKey);
        return PublicKey(bytes32(x), bytes32(y));
    }

    /// @dev Signs sha256 of the digest as WebCrypto does, and lowers s as our signers do.
    function _sign(uint256 privateKey, bytes32 digest) internal pure returns (ISettlement.P256Signature memory) {
        (bytes32 r, bytes32 s) = vm.signP256(privateKey, sha256(abi.encodePacked(digest)));
        if (uint256(s) > P256_ORDER / 2) s = bytes32(P256_ORDER - uint256(s));
        return ISettlement.P256Signature(r, s);
    }

    function _signPayout(uint256 privateKey, address to) internal view returns (ISettlement.P256Signature memory) {
        return _sign(privateKey, settlement.payoutDigest(_key(privateKey), to));
    }

    function _leaf(uint256 privateKey, uint256 cumulative) internal pure returns (bytes32) {
        PublicKey memory key = _key(privateKey);
        // forge-lint: disable-next-line(unsafe-typecast)
        return Hashes.earnings(Earnings(key.x, key.y, uint128(cumulative)));
    }

    /// @dev The proof of the only leaf of a tree.
    function _alone() internal pure returns (InclusionProof memory) {
        return InclusionProof(0, 1, new bytes32[](0));
    }

    /// @dev Claims from a tree of one leaf.
    function _claim(uint256 privateKey, uint256 cumulative, address to) internal {
        vm.assertTrue(_tryClaim(privateKey, cumulative, _alone(), to), "claim");
    }

    function _tryClaim(uint256 privateKey, uint256 cumulative, InclusionProof memory proof, address to)
        internal
        returns (bool done)
    {
        ISettlement.P256Signature memory signature = _signPayout(privateKey, to);
        PublicKey memory key = _key(privateKey);
        // forge-lint: disable-next-line(unsafe-typecast)
        bytes memory call = abi.encodeCall(settlement.claim, (key, uint128(cumulative), proof, to, signature));
        (done,) = address(settlement).call(call);
    }
}
