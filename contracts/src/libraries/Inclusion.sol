// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

/// @notice A leaf's place in an RFC 9162 tree, and its sibling hashes from the leaf up.
struct InclusionProof {
    uint256 index;
    uint256 size;
    bytes32[] path;
}

/// @title Inclusion proofs of RFC 9162, section 2.1.3.2
/// @dev SHA-256 by its precompile; 0x00 before a leaf, 0x01 before a pair.
library Inclusion {
    /// @notice Tells whether the path leads from the leaf to the root.
    /// @dev Pass only a leaf that the contract has hashed itself, after the byte 0x00. Index and size give the path its
    /// length and its directions, nothing more: they come from the caller, and no tree is bound to a size.
    function verify(bytes32 leaf, bytes32 root, InclusionProof calldata proof) internal view returns (bool) {
        if (proof.index >= proof.size) return false;
        (uint256 place, uint256 last) = (proof.index, proof.size - 1);
        bytes32[] calldata path = proof.path;
        bytes32 hash = leaf;
        for (uint256 i = 0; i < path.length; ++i) {
            if (last == 0) return false;
            if (place & 1 == 1 || place == last) {
                hash = _pair(path[i], hash);
                while (place & 1 == 0 && place != 0) (place, last) = (place >> 1, last >> 1);
            } else {
                hash = _pair(hash, path[i]);
            }
            (place, last) = (place >> 1, last >> 1);
        }
        return last == 0 && hash == root;
    }

    /// @dev sha256(0x01, left, right) in memory that is free afterwards: a third of the gas of `abi.encodePacked`.
    function _pair(bytes32 left, bytes32 right) private view returns (bytes32 hash) {
        assembly ("memory-safe") {
            let pair := mload(0x40)
            mstore8(pair, 1)
            mstore(add(pair, 1), left)
            mstore(add(pair, 33), right)
            if iszero(staticcall(gas(), 2, pair, 65, 0, 32)) { revert(0, 0) }
            hash := mload(0)
        }
    }
}
