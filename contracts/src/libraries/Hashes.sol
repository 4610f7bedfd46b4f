// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

/// @notice A P-256 public key: a node's receipt key or a hub's signing key.
struct PublicKey {
    bytes32 x;
    bytes32 y;
}

/// @notice A published policy version. Names are keccak-256 of their UTF-8 bytes, enumerations their index, country sets
/// bitmaps over the append-only country table.
struct Policy {
    bytes32 tenant;
    bytes32 id;
    uint32 version;
    uint256 ingress;
    uint256 compute;
    uint8 storageJurisdiction;
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

/// @notice Permission to run one attempt of one job on one node.
struct Ticket {
    bytes32 jobId;
    uint32 attempt;
    bytes32 hub;
    bytes32 node;
    bytes32 tenant;
    bytes32 policyHash;
    uint256 allowed;
    uint8 country;
    uint8 evidence;
    uint8 source;
    uint8 trust;
    uint256 possible;
    bytes32 evidenceHash;
    bytes32 voucher;
    bytes32 workDigest;
    bytes32 inputCommitment;
    uint64 units;
    uint64 priceMicroUsd;
    uint64 issuedAtMs;
    uint64 expiresAtMs;
}

/// @notice The work that a node did under a ticket; its struct hash is the receipt's id and its Merkle leaf.
struct Receipt {
    bytes32 ticketHash;
    bytes32 jobId;
    uint32 attempt;
    bytes32 tenant;
    bytes32 policyHash;
    uint8 country;
    uint8 evidence;
    uint8 source;
    uint8 trust;
    bytes32 node;
    bytes32 receiptKeyX;
    bytes32 receiptKeyY;
    bytes32 workDigest;
    bytes32 inputCommitment;
    bytes32 outputCommitment;
    uint64 units;
    uint64 priceMicroUsd;
    uint64 amountMicroUsd;
    uint64 startedAtMs;
    uint64 finishedAtMs;
    uint8 provider;
    uint8 verification;
}

/// @title EIP-712 struct hashes of everything that is signed or in a Merkle tree
/// @dev All fields are static, so abi.encode of a struct is exactly its EIP-712 encodeData.
library Hashes {
    bytes32 internal constant POLICY_TYPEHASH = keccak256(
        "Policy(bytes32 tenant,bytes32 id,uint32 version,uint256 ingress,uint256 compute,uint8 storageJurisdiction,uint8 minEvidence,uint8 dataClass,bool personalOnPublicNodes,uint8 nodeTrust,uint16 retentionDays,uint8 verification,bytes32 network,uint32 regions,bytes32 vouchers)"
    );
    bytes32 internal constant TICKET_TYPEHASH = keccak256(
        "Ticket(bytes32 jobId,uint32 attempt,bytes32 hub,bytes32 node,bytes32 tenant,bytes32 policyHash,uint256 allowed,uint8 country,uint8 evidence,uint8 source,uint8 trust,uint256 possible,bytes32 evidenceHash,bytes32 voucher,bytes32 workDigest,bytes32 inputCommitment,uint64 units,uint64 priceMicroUsd,uint64 issuedAtMs,uint64 expiresAtMs)"
    );
    bytes32 internal constant RECEIPT_TYPEHASH = keccak256(
        "Receipt(bytes32 ticketHash,bytes32 jobId,uint32 attempt,bytes32 tenant,bytes32 policyHash,uint8 country,uint8 evidence,uint8 source,uint8 trust,bytes32 node,bytes32 receiptKeyX,bytes32 receiptKeyY,bytes32 workDigest,bytes32 inputCommitment,bytes32 outputCommitment,uint64 units,uint64 priceMicroUsd,uint64 amountMicroUsd,uint64 startedAtMs,uint64 finishedAtMs,uint8 provider,uint8 verification)"
    );
    bytes32 internal constant EARNINGS_TYPEHASH =
        keccak256("Earnings(bytes32 keyX,bytes32 keyY,uint256 cumulativeMicroUsd)");
    bytes32 internal constant PAYOUT_TYPEHASH =
        keccak256("Payout(bytes32 keyX,bytes32 keyY,address to,uint256 nonce)");

    function policy(Policy memory fields) internal pure returns (bytes32) {
        return keccak256(abi.encode(POLICY_TYPEHASH, fields));
    }

    function ticket(Ticket memory fields) internal pure returns (bytes32) {
        return keccak256(abi.encode(TICKET_TYPEHASH, fields));
    }

    function receipt(Receipt memory fields) internal pure returns (bytes32) {
        return keccak256(abi.encode(RECEIPT_TYPEHASH, fields));
    }

    function earnings(PublicKey memory key, uint256 cumulativeMicroUsd) internal pure returns (bytes32) {
        return keccak256(abi.encode(EARNINGS_TYPEHASH, key, cumulativeMicroUsd));
    }

    function payout(PublicKey memory key, address to, uint256 nonce) internal pure returns (bytes32) {
        return keccak256(abi.encode(PAYOUT_TYPEHASH, key, to, nonce));
    }

    /// @notice A key's name in storage and events.
    function keyId(PublicKey memory key) internal pure returns (bytes32) {
        return keccak256(abi.encode(key));
    }
}
