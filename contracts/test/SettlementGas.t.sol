// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {ISettlement} from "../src/interfaces/ISettlement.sol";
import {PublicKey} from "../src/libraries/Hashes.sol";
import {InclusionProof} from "../src/libraries/Inclusion.sol";
import {NaiveTree} from "./support/NaiveTree.sol";
import {SettlementFixture} from "./support/SettlementFixture.sol";

/// @notice Gas of the calls. contracts/snapshots keeps the figures, and a changed figure fails the run.
contract SettlementGasTest is SettlementFixture {
    /// @dev Levels of a tree over a million keys.
    uint256 private constant LEVELS = 20;

    function setUp() public {
        _deploy();
    }

    function test_gas_batchOfOnePolicyAndOneConsumer() public {
        _post(keccak256("earnings"), 700);
        vm.snapshotGasLastCall("Settlement", "postBatch, first, 1 policy, 1 consumer, any number of receipts");
        _post(keccak256("later earnings"), 700);
        vm.snapshotGasLastCall("Settlement", "postBatch, later, 1 policy, 1 consumer, any number of receipts");
    }

    function test_gas_batchOfTenPoliciesAndTenConsumers() public {
        ISettlement.PolicyUse[] memory uses = new ISettlement.PolicyUse[](10);
        ISettlement.Charge[] memory charges = new ISettlement.Charge[](10);
        for (uint256 i = 0; i < 10; ++i) {
            address consumer = address(uint160(0x1000 + i));
            _fund(consumer, DEPOSIT);
            vm.prank(consumer);
            settlement.setBatchLimit(LIMIT);
            charges[i] = ISettlement.Charge(consumer, 10);
            uses[i] = ISettlement.PolicyUse(_policy(), 1 << 14);
            uses[i].policy.version = uint32(i + 1);
        }
        vm.prank(POSTER);
        settlement.postBatch(1, 0, keccak256("r"), 1_000_000, keccak256("l"), keccak256("e"), 100, uses, charges);
        vm.snapshotGasLastCall("Settlement", "postBatch, first, 10 policies, 10 consumers, any number of receipts");
    }

    function test_gas_claimAmongAMillionKeys() public {
        _claimDeep(700, 700);
        vm.snapshotGasLastCall("Settlement", "claim, first, among a million keys");
        _claimDeep(950, 250);
        vm.snapshotGasLastCall("Settlement", "claim, later, among a million keys");
    }

    function test_gas_isSettledAmongAThousandReceipts() public {
        bytes32[] memory path = new bytes32[](10);
        bytes32 root = settlement.receiptId(_receipt(1));
        for (uint256 level = 0; level < path.length; ++level) {
            path[level] = keccak256(abi.encode(level));
            root = NaiveTree.pair(root, path[level]);
        }
        vm.prank(POSTER);
        settlement.postBatch(1, 0, root, 1_024, 0, 0, 1, _uses(1 << 14), _charges(CONSUMER, 1));
        vm.assertTrue(settlement.isSettled(1, _receipt(1), InclusionProof(0, 1_024, path)), "settled");
        vm.snapshotGasLastCall("Settlement", "isSettled, among a thousand receipts");
    }

    function _claimDeep(uint128 cumulative, uint256 earned) private {
        bytes32 root = _leaf(NODE_KEY, cumulative);
        bytes32[] memory path = new bytes32[](LEVELS);
        for (uint256 level = 0; level < LEVELS; ++level) {
            path[level] = keccak256(abi.encode(level));
            root = NaiveTree.pair(root, path[level]);
        }
        _post(root, earned);
        PublicKey memory key = _key(NODE_KEY);
        ISettlement.P256Signature memory signature = _signPayout(NODE_KEY, PAYOUT);
        settlement.claim(key, cumulative, InclusionProof(0, 2 ** LEVELS, path), PAYOUT, signature);
    }
}
