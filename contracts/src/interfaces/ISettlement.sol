// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {Policy, PublicKey, Receipt} from "../libraries/Hashes.sol";
import {InclusionProof} from "../libraries/Inclusion.sol";

/// @title Settlement of edge compute receipts
/// @notice Consumers deposit a stablecoin, a poster settles batches of receipts against the deposits, and nodes claim the
/// earnings of their P-256 receipt keys. Amounts are micro-dollars: units of a six-decimal stablecoin.
/// @dev Always: sum of paid <= sum of charged <= sum of deposited, whatever the poster says.
interface ISettlement {
    /// @notice A policy, and the countries where the batch's jobs under it ran.
    struct PolicyUse {
        Policy policy;
        uint256 countriesUsed;
    }

    /// @notice Amount that a batch takes from one consumer.
    struct Charge {
        address consumer;
        uint256 amountMicroUsd;
    }

    /// @notice A P-256 signature with low s.
    struct P256Signature {
        bytes32 r;
        bytes32 s;
    }

    /// @notice The caller may not do this.
    error Forbidden(address caller);
    /// @notice The amount exceeds the consumer's balance or its own limit for one batch.
    error PaymentRequired(address consumer, uint256 amountMicroUsd, uint256 availableMicroUsd);
    /// @notice A batch names countries outside the policy's compute set.
    error ResidencyUnsatisfiable(bytes32 policyHash, uint256 countriesOutside);
    /// @notice The batch was already posted, or one before it was not.
    error UnexpectedBatch(uint64 expectedId, uint64 nextBatchId);
    /// @notice The batch does not follow the batch that was posted last.
    error UnexpectedParent(bytes32 parentRoot, bytes32 lastReceiptRoot);
    /// @notice A batch must have a receipt.
    error EmptyBatch();
    /// @notice The charges do not add up to what the batch's nodes earned.
    error ChargesDiffer(uint256 earnedMicroUsd, uint256 chargedMicroUsd);
    /// @notice Charges must be in ascending order of consumer, each consumer once.
    error ChargesUnordered(address consumer);
    /// @notice The leaf is not under the current earnings root.
    error InvalidProof(bytes32 leaf);
    /// @notice This receipt key did not sign the payout with its next nonce.
    error InvalidSignature(bytes32 keyId, uint256 nonce);
    /// @notice This leaf, or a later one of the same key, has been paid.
    error AlreadyPaid(bytes32 keyId, uint256 paidMicroUsd);
    /// @notice The earnings root promises more than all batches have charged.
    error EarningsExceedCharges(uint256 amountMicroUsd, uint256 availableMicroUsd);
    /// @notice The withdrawal was not requested, or its delay has not passed.
    error WithdrawalNotReady(uint256 availableAt);
    /// @notice The address must not be zero.
    error ZeroAddress();

    event Deposited(address indexed consumer, address indexed from, uint256 amountMicroUsd);
    event BatchLimitSet(address indexed consumer, uint256 limitMicroUsd);
    event WithdrawalRequested(address indexed consumer, uint256 amountMicroUsd, uint256 availableAt);
    event Withdrawn(address indexed consumer, uint256 amountMicroUsd);
    event PosterSet(address indexed poster, bool isAllowed);
    event HubKeySet(bytes32 indexed keyId, bytes32 x, bytes32 y, bool isAllowed);
    event BatchPosted(
        uint64 indexed batchId,
        bytes32 receiptRoot,
        uint32 receiptCount,
        bytes32 logRoot,
        bytes32 earningsRoot,
        uint256 earnedMicroUsd
    );
    event PolicyUsed(uint64 indexed batchId, bytes32 indexed policyHash, uint256 countriesUsed);
    event Charged(uint64 indexed batchId, address indexed consumer, uint256 amountMicroUsd);
    event Claimed(bytes32 indexed keyId, address indexed to, uint256 amountMicroUsd, uint256 cumulativeMicroUsd);

    /// @notice Adds to a consumer's balance; anyone may pay for anyone.
    function deposit(address consumer, uint256 amountMicroUsd) external;

    /// @notice Limits what one batch may take from the caller. The limit starts at zero.
    function setBatchLimit(uint256 limitMicroUsd) external;

    /// @notice Announces a withdrawal and replaces an earlier one. The money stays chargeable until it is withdrawn, so that
    /// answered jobs can still be settled.
    function requestWithdrawal(uint256 amountMicroUsd) external;

    /// @notice Pays the announced amount, or what is left of it, to the caller once the delay has passed.
    function withdraw() external;

    /// @notice Owner: allows or forbids an address to post batches. The owner itself must not post.
    function setPoster(address poster, bool isAllowed) external;

    /// @notice Owner: registers or removes the key of a hub, which countersigns receipts.
    function setHubKey(bytes32 x, bytes32 y, bool isAllowed) external;

    /// @notice Poster: settles one batch.
    /// @param expectedId must equal `nextBatchId`, so that a batch can never be posted twice.
    /// @param parentRoot must equal the receipt root of the previous batch, zero for the first. A batch thus lands only on the
    /// history that its earnings were summed over.
    /// @param receiptRoot RFC 9162 root over the ids of the batch's receipts, which are leaves.
    /// @param logRoot RFC 9162 root over the checkpoints of its tenants' audit logs, so that later changes of a log show; zero
    /// for none. Only the event has it: a verifier has the transaction.
    /// @param earningsRoot RFC 9162 root over the cumulative earnings of all receipt keys, this batch included.
    /// @param earnedMicroUsd this batch's addition to the earnings; must equal the sum of the charges.
    function postBatch(
        uint64 expectedId,
        bytes32 parentRoot,
        bytes32 receiptRoot,
        uint32 receiptCount,
        bytes32 logRoot,
        bytes32 earningsRoot,
        uint256 earnedMicroUsd,
        PolicyUse[] calldata policies,
        Charge[] calldata charges
    ) external;

    /// @notice Pays all unpaid earnings of a receipt key to the address that the key signed. Anyone may send this.
    /// @param cumulativeMicroUsd the amount in the key's leaf under the current earnings root.
    /// @param proof of that leaf, which the contract hashes itself. A wrong index or size proves nothing else.
    /// @param signature over sha256 of `payoutDigest(key, to)`.
    function claim(
        PublicKey calldata key,
        uint128 cumulativeMicroUsd,
        InclusionProof calldata proof,
        address to,
        P256Signature calldata signature
    ) external;

    /// @notice The id that the next batch must carry; the first is 1.
    function nextBatchId() external view returns (uint64);

    /// @notice Receipt root of a posted batch, zero for others.
    function receiptRoot(uint64 batchId) external view returns (bytes32);

    function earningsRoot() external view returns (bytes32);

    /// @notice A consumer's balance and its own limit for one batch.
    function account(address consumer) external view returns (uint256 balanceMicroUsd, uint256 batchLimitMicroUsd);

    /// @notice The amount that a receipt key has been paid, and the nonce of its next payout.
    function payee(PublicKey calldata key) external view returns (uint256 paidMicroUsd, uint256 nonce);

    function isPoster(address poster) external view returns (bool);

    function isHubKey(bytes32 x, bytes32 y) external view returns (bool);

    /// @notice Tells whether a receipt of this chain and contract stands in a posted batch.
    /// @dev Takes the receipt and not its id, so that no inner node passes for a receipt. Index and size are not proven: a
    /// caller that must act once for a receipt keeps its id.
    function isSettled(uint64 batchId, Receipt calldata receipt, InclusionProof calldata proof)
        external
        view
        returns (bool);

    /// @notice The 32 bytes whose sha256 a receipt key signs for its next payout to `to`.
    function payoutDigest(PublicKey calldata key, address to) external view returns (bytes32);

    /// @notice SHA-256 of a policy's bytes, the same on every chain.
    function policyHash(Policy calldata policy) external pure returns (bytes32);

    /// @notice A receipt's id, which is its leaf in every tree: the hash of its bytes for this chain and contract.
    function receiptId(Receipt calldata receipt) external view returns (bytes32);
}
