// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {InclusionProof} from "../../src/libraries/Inclusion.sol";

/// @notice RFC 9162 trees as section 2.1 defines them, by recursion over lists of leaves.
library NaiveTree {
    function pair(bytes32 left, bytes32 right) internal pure returns (bytes32) {
        return sha256(abi.encodePacked(hex"01", left, right));
    }

    function root(bytes32[] memory leaves) internal pure returns (bytes32) {
        return _root(leaves, 0, leaves.length);
    }

    function prove(bytes32[] memory leaves, uint256 index) internal pure returns (InclusionProof memory) {
        return InclusionProof(index, leaves.length, _path(leaves, 0, leaves.length, index));
    }

    function _root(bytes32[] memory leaves, uint256 from, uint256 to) private pure returns (bytes32) {
        if (to - from == 1) return leaves[from];
        uint256 split = from + _largestPowerBelow(to - from);
        return pair(_root(leaves, from, split), _root(leaves, split, to));
    }

    function _path(bytes32[] memory leaves, uint256 from, uint256 to, uint256 index)
        private
        pure
        returns (bytes32[] memory)
    {
        if (to - from == 1) return new bytes32[](0);
        uint256 split = from + _largestPowerBelow(to - from);
        return index < split
            ? _with(_path(leaves, from, split, index), _root(leaves, split, to))
            : _with(_path(leaves, split, to, index), _root(leaves, from, split));
    }

    function _with(bytes32[] memory path, bytes32 last) private pure returns (bytes32[] memory longer) {
        longer = new bytes32[](path.length + 1);
        for (uint256 i = 0; i < path.length; ++i) {
            longer[i] = path[i];
        }
        longer[path.length] = last;
    }

    function _largestPowerBelow(uint256 count) private pure returns (uint256 power) {
        power = 1;
        while (power * 2 < count) power *= 2;
    }
}
