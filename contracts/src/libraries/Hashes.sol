// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

// Written by `npm run generate` from the layouts in shared/. Do not edit.

/// @notice A published policy version. Names are SHA-256 of their UTF-8 bytes.
struct Policy {
    bytes32 tenant;
    bytes32 id;
    uint32 version;
    uint256 ingress;
    uint256 compute;
    uint8 storage_;
    uint8 minEvidence;
    uint8 dataClass;
    bool personalOnPublicNodes;
    uint8 nodeTrust;
    uint16 retentionDays;
    uint8 verification;
    bytes32 network;
    uint32 regions;
    bytes32 vouchers;
}

/// @notice Where a node stands, as its hub saw it at dispatch.
struct Place {
    uint8 country;
    uint8 evidence;
    uint8 source;
    uint8 trust;
    string voucher;
    uint256 possible;
    bytes32 evidenceHash;
}

/// @notice Permission to run one attempt of one job on one node.
struct Ticket {
    string jobId;
    uint32 attempt;
    string hub;
    string nodeId;
    string tenant;
    bytes32 policyHash;
    uint256 allowed;
    Place place;
    bytes32 workDigest;
    bytes32 inputCommitment;
    uint64 units;
    uint64 priceMicroUsd;
    uint64 issuedAtMs;
    uint64 expiresAtMs;
}

/// @notice A P-256 public key: a node's receipt key or a hub's signing key.
struct PublicKey {
    bytes32 x;
    bytes32 y;
}

/// @notice The work that a node did under a ticket.
struct Receipt {
    Ticket ticket;
    PublicKey receiptKey;
    bytes32 outputCommitment;
    uint64 units;
    uint128 amountMicroUsd;
    uint64 startedAtMs;
    uint64 finishedAtMs;
    uint8 provider;
}

/// @notice Everything that a receipt key has ever earned.
struct Earnings {
    bytes32 x;
    bytes32 y;
    uint128 cumulativeMicroUsd;
}

/// @title Hashes of everything that is in a Merkle tree or that a batch names
/// @dev Enumerations are their word's index. Country sets are bitmaps over the append-only country table.
library Hashes {
    /// @notice A text may have 255 bytes of UTF-8.
    error TextTooLong(uint256 length);

    /// @dev SHA-256 of "littoral policy", version 1, then the fields.
    function policy(Policy memory value) internal pure returns (bytes32) {
        return sha256(bytes.concat(
            abi.encodePacked(
                hex"0f6c6974746f72616c20706f6c6963790100000000000000000000000000000000000000000000000000000000",
                value.tenant,
                value.id,
                value.version,
                value.ingress,
                value.compute,
                value.storage_,
                value.minEvidence
            ),
            abi.encodePacked(
                value.dataClass,
                value.personalOnPublicNodes,
                value.nodeTrust,
                value.retentionDays,
                value.verification,
                value.network,
                value.regions,
                value.vouchers
            )
        ));
    }

    /// @dev The leaf over "littoral receipt", version 1, this chain, this contract, then the fields.
    function receipt(Receipt memory value) internal view returns (bytes32) {
        return sha256(bytes.concat(
            abi.encodePacked(
                hex"00106c6974746f72616c207265636569707401",
                uint64(block.chainid),
                address(this),
                _ticket(value.ticket),
                _publicKey(value.receiptKey),
                value.outputCommitment,
                value.units,
                value.amountMicroUsd
            ),
            abi.encodePacked(
                value.startedAtMs,
                value.finishedAtMs,
                value.provider
            )
        ));
    }

    /// @dev The leaf over "littoral earnings", version 1, then the fields.
    function earnings(Earnings memory value) internal pure returns (bytes32) {
        return sha256(abi.encodePacked(
            hex"00116c6974746f72616c206561726e696e67730100000000000000000000000000000000000000000000000000000000",
            value.x,
            value.y,
            value.cumulativeMicroUsd
        ));
    }

    function _place(Place memory value) private pure returns (bytes memory) {
        return abi.encodePacked(
            value.country,
            value.evidence,
            value.source,
            value.trust,
            _text(value.voucher),
            value.possible,
            value.evidenceHash
        );
    }

    function _ticket(Ticket memory value) private pure returns (bytes memory) {
        return bytes.concat(
            abi.encodePacked(
                _text(value.jobId),
                value.attempt,
                _text(value.hub),
                _text(value.nodeId),
                _text(value.tenant),
                value.policyHash,
                value.allowed,
                _place(value.place)
            ),
            abi.encodePacked(
                value.workDigest,
                value.inputCommitment,
                value.units,
                value.priceMicroUsd,
                value.issuedAtMs,
                value.expiresAtMs
            )
        );
    }

    function _publicKey(PublicKey memory value) private pure returns (bytes memory) {
        return abi.encodePacked(
            value.x,
            value.y
        );
    }

    /// @dev The length in one byte, then the text.
    function _text(string memory text) private pure returns (bytes memory) {
        uint256 length = bytes(text).length;
        if (length > 255) revert TextTooLong(length);
        // forge-lint: disable-next-line(unsafe-typecast)
        return abi.encodePacked(uint8(length), text);
    }
}
