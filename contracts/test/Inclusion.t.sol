// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {Hashes, Receipt} from "../src/libraries/Hashes.sol";
import {Inclusion, InclusionProof} from "../src/libraries/Inclusion.sol";
import {NaiveTree} from "./support/NaiveTree.sol";
import {SettlementFixture} from "./support/SettlementFixture.sol";

contract InclusionTest is SettlementFixture {
    uint256 private constant MOST = 40;

    function setUp() public {
        _deploy();
    }

    function verify(bytes32 leaf, bytes32 root, InclusionProof calldata proof) external view returns (bool) {
        return Inclusion.verify(leaf, root, proof);
    }

    function test_isSettled_findsEveryReceiptOfEveryBatch() public {
        for (uint256 size = 1; size <= 9; ++size) {
            bytes32[] memory ids = new bytes32[](size);
            for (uint256 i = 0; i < size; ++i) {
                ids[i] = settlement.receiptId(_receipt(i));
            }
            uint64 batch = settlement.nextBatchId();
            _postReceipts(NaiveTree.root(ids));
            for (uint256 i = 0; i < size; ++i) {
                InclusionProof memory proof = NaiveTree.prove(ids, i);
                vm.assertTrue(settlement.isSettled(batch, _receipt(i), proof), "settled");
                vm.assertFalse(settlement.isSettled(batch, _receipt(size), proof), "another receipt");
                vm.assertFalse(settlement.isSettled(batch + 1, _receipt(i), proof), "another batch");
            }
        }
    }

    function test_receiptId_isTheLeafOverTheReceiptsBytesForThisContract() public {
        Receipt memory receipt = _receipt(1);
        bytes32 here = settlement.receiptId(receipt);
        _deploy();
        vm.assertFalse(settlement.receiptId(receipt) == here, "another contract");
        receipt.ticket.place.voucher = "acme";
        vm.assertFalse(settlement.receiptId(receipt) == settlement.receiptId(_receipt(1)), "another voucher");
    }

    function test_receiptId_takesATextOf255Bytes() public view {
        Receipt memory receipt = _receipt(1);
        receipt.ticket.nodeId = string(new bytes(255));
        settlement.receiptId(receipt);
    }

    function test_receiptId_revertsForALongerText() public {
        Receipt memory receipt = _receipt(1);
        receipt.ticket.nodeId = string(new bytes(256));
        vm.expectRevert(abi.encodeWithSelector(Hashes.TextTooLong.selector, 256));
        settlement.receiptId(receipt);
    }

    /// @notice The reason why the contract takes no bare hash: the verifier alone would take an inner node for a leaf.
    function test_verify_takesAnInnerNodeForALeafOfASmallerTree() public view {
        bytes32[] memory leaves = _leaves(4, 0);
        bytes32[] memory path = new bytes32[](1);
        path[0] = NaiveTree.pair(leaves[2], leaves[3]);
        bytes32 inner = NaiveTree.pair(leaves[0], leaves[1]);
        vm.assertTrue(this.verify(inner, NaiveTree.root(leaves), InclusionProof(0, 2, path)), "inner node");
    }

    function testFuzz_verify_agreesWithTheDefinition(uint256 size, uint256 index, uint256 seed) public view {
        size = _bound(size, 1, MOST);
        index = _bound(index, 0, size - 1);
        bytes32[] memory leaves = _leaves(size, seed);
        InclusionProof memory proof = NaiveTree.prove(leaves, index);
        vm.assertTrue(this.verify(leaves[index], NaiveTree.root(leaves), proof), "its own proof");
        vm.assertFalse(this.verify(leaves[index], leaves[0] ^ bytes32(uint256(1)), proof), "another root");
    }

    /// @notice One change of index, size, path or leaf at a time.
    function testFuzz_verify_refusesAChangedProof(uint256 size, uint256 index, uint256 seed, uint256 change) public view {
        size = _bound(size, 2, MOST);
        index = _bound(index, 0, size - 1);
        bytes32[] memory leaves = _leaves(size, seed);
        bytes32 root = NaiveTree.root(leaves);
        InclusionProof memory proof = NaiveTree.prove(leaves, index);
        bytes32 leaf = leaves[index];
        uint256 bit = (change >> 8) % 256;
        if (change % 4 == 0) leaf ^= bytes32(1 << bit);
        if (change % 4 == 1) proof.path[bit % proof.path.length] ^= bytes32(1 << bit);
        if (change % 4 == 2) proof.path = _resized(proof.path, bit % 2 == 0 ? proof.path.length + 1 : proof.path.length - 1);
        if (change % 4 == 3) (proof.index, proof.size) = (size + bit, bit % 2 == 0 ? size : 0);
        vm.assertFalse(this.verify(leaf, root, proof), "changed");
    }

    /// @notice Whatever index and size come with a path of the tree, it proves no other leaf.
    function testFuzz_verify_refusesWhatIsNoLeaf(uint256 size, uint256 index, uint256 seed) public view {
        size = _bound(size, 1, 12);
        index = _bound(index, 0, size - 1);
        bytes32[] memory leaves = _leaves(size, seed);
        bytes32 root = NaiveTree.root(leaves);
        InclusionProof memory proof = NaiveTree.prove(leaves, index);
        bytes32 other = sha256(abi.encodePacked(hex"00", seed, size));
        for (proof.size = 0; proof.size <= size + 2; ++proof.size) {
            for (proof.index = 0; proof.index <= size + 2; ++proof.index) {
                vm.assertFalse(this.verify(other, root, proof), "no leaf");
            }
        }
    }

    /// @notice A claim is paid by its own leaf, and by no other amount whatever index and size it names.
    function testFuzz_claim_paysOnlyALeafOfTheTree(uint256 size, uint256 index, uint128 promised, uint256 lie) public {
        size = _bound(size, 1, MOST);
        index = _bound(index, 0, size - 1);
        promised = uint128(_bound(promised, 1, LIMIT));
        bytes32[] memory leaves = _leaves(size, lie);
        leaves[index] = _leaf(NODE_KEY, promised);
        _post(NaiveTree.root(leaves), LIMIT);
        InclusionProof memory proof = NaiveTree.prove(leaves, index);
        vm.assertFalse(_tryClaim(NODE_KEY, promised + 1, proof, PAYOUT), "another amount");
        vm.assertTrue(_tryClaim(NODE_KEY, promised, proof, PAYOUT), "its own");
        vm.assertEq(token.balanceOf(PAYOUT), promised, "paid");
    }

    function _leaves(uint256 size, uint256 seed) private pure returns (bytes32[] memory leaves) {
        leaves = new bytes32[](size);
        for (uint256 i = 0; i < size; ++i) {
            leaves[i] = sha256(abi.encodePacked(hex"00", seed, i));
        }
    }

    function _resized(bytes32[] memory path, uint256 length) private pure returns (bytes32[] memory other) {
        other = new bytes32[](length);
        for (uint256 i = 0; i < length && i < path.length; ++i) {
            other[i] = path[i];
        }
    }

    function _postReceipts(bytes32 root) private {
        uint64 id = settlement.nextBatchId();
        bytes32 parent = settlement.receiptRoot(id - 1);
        vm.prank(POSTER);
        settlement.postBatch(id, parent, root, 1, 0, 0, 1, _uses(1 << 14), _charges(CONSUMER, 1));
    }
}
