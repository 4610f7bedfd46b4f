// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {PublicKey} from "./Hashes.sol";

/// @title Receipt keys and what they sign for a payout
library Payouts {
    bytes32 internal constant PAYOUT_TYPEHASH =
        keccak256("Payout(bytes32 keyX,bytes32 keyY,address to,uint256 nonce)");

    /// @notice A key's name in storage and events.
    function keyId(PublicKey memory key) internal pure returns (bytes32) {
        return keccak256(abi.encode(key));
    }

    /// @notice EIP-712 struct hash: all fields are static, so abi.encode of them is their encodeData.
    function structHash(PublicKey memory key, address to, uint256 nonce) internal pure returns (bytes32) {
        return keccak256(abi.encode(PAYOUT_TYPEHASH, key, to, nonce));
    }
}
