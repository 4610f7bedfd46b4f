// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {Ownable, Ownable2Step} from "@openzeppelin/contracts/access/Ownable2Step.sol";
import {IERC20} from "@openzeppelin/contracts/token/ERC20/IERC20.sol";
import {SafeERC20} from "@openzeppelin/contracts/token/ERC20/utils/SafeERC20.sol";
import {EIP712} from "@openzeppelin/contracts/utils/cryptography/EIP712.sol";
import {P256} from "@openzeppelin/contracts/utils/cryptography/P256.sol";
import {SafeCast} from "@openzeppelin/contracts/utils/math/SafeCast.sol";
import {ReentrancyGuard} from "@openzeppelin/contracts/utils/ReentrancyGuard.sol";
import {ISettlement} from "./interfaces/ISettlement.sol";
import {Earnings, Hashes, Policy, PublicKey, Receipt} from "./libraries/Hashes.sol";
import {Inclusion, InclusionProof} from "./libraries/Inclusion.sol";
import {Payouts} from "./libraries/Payouts.sol";

/// @title Settlement
/// @notice See {ISettlement}.
contract Settlement is ISettlement, EIP712, Ownable2Step, ReentrancyGuard {
    using SafeCast for uint256;
    using SafeERC20 for IERC20;

    struct Account {
        uint128 balance;
        uint128 batchLimit;
    }

    struct Withdrawal {
        uint128 amount;
        uint64 availableAt;
    }

    struct Payee {
        uint128 paid;
        uint64 nonce;
    }

    /// @notice The time for which an announced withdrawal stays chargeable: longer than any job and its batch.
    uint256 public constant WITHDRAWAL_DELAY = 1 hours;

    /// @notice The stablecoin: six decimals, and transfers of exactly the amount given.
    IERC20 public immutable token;

    /// @notice Sums of all charges and of all claims; nodes are owed the difference.
    uint128 public totalCharged;
    uint128 public totalPaid;

    /// @inheritdoc ISettlement
    uint64 public nextBatchId = 1;
    /// @inheritdoc ISettlement
    bytes32 public earningsRoot;
    /// @inheritdoc ISettlement
    mapping(uint64 batchId => bytes32) public receiptRoot;
    /// @inheritdoc ISettlement
    mapping(address => bool) public isPoster;

    mapping(address consumer => Account) private _accounts;
    mapping(address consumer => Withdrawal) private _withdrawals;
    mapping(bytes32 keyId => Payee) private _payees;
    mapping(bytes32 keyId => bool) private _hubKeys;

    constructor(IERC20 stablecoin, address owner) EIP712("Littoral", "1") Ownable(owner) {
        if (address(stablecoin) == address(0)) revert ZeroAddress();
        token = stablecoin;
    }

    /// @inheritdoc ISettlement
    function deposit(address consumer, uint256 amountMicroUsd) external nonReentrant {
        if (consumer == address(0)) revert ZeroAddress();
        _accounts[consumer].balance += amountMicroUsd.toUint128();
        emit Deposited(consumer, msg.sender, amountMicroUsd);
        token.safeTransferFrom(msg.sender, address(this), amountMicroUsd);
    }

    /// @inheritdoc ISettlement
    function setBatchLimit(uint256 limitMicroUsd) external {
        _accounts[msg.sender].batchLimit = limitMicroUsd.toUint128();
        emit BatchLimitSet(msg.sender, limitMicroUsd);
    }

    /// @inheritdoc ISettlement
    function requestWithdrawal(uint256 amountMicroUsd) external {
        uint64 availableAt = (block.timestamp + WITHDRAWAL_DELAY).toUint64();
        _withdrawals[msg.sender] = Withdrawal(amountMicroUsd.toUint128(), availableAt);
        emit WithdrawalRequested(msg.sender, amountMicroUsd, availableAt);
    }

    /// @inheritdoc ISettlement
    function withdraw() external nonReentrant {
        Withdrawal memory wanted = _withdrawals[msg.sender];
        if (wanted.amount == 0 || block.timestamp < wanted.availableAt) revert WithdrawalNotReady(wanted.availableAt);
        delete _withdrawals[msg.sender];
        Account storage from = _accounts[msg.sender];
        uint128 amount = wanted.amount < from.balance ? wanted.amount : from.balance;
        from.balance -= amount;
        emit Withdrawn(msg.sender, amount);
        token.safeTransfer(msg.sender, amount);
    }

    /// @inheritdoc ISettlement
    function setPoster(address poster, bool isAllowed) external onlyOwner {
        if (isAllowed && poster == owner()) revert Forbidden(poster);
        isPoster[poster] = isAllowed;
        emit PosterSet(poster, isAllowed);
    }

    /// @inheritdoc ISettlement
    function setHubKey(bytes32 x, bytes32 y, bool isAllowed) external onlyOwner {
        bytes32 id = Payouts.keyId(PublicKey(x, y));
        _hubKeys[id] = isAllowed;
        emit HubKeySet(id, x, y, isAllowed);
    }

    /// @inheritdoc ISettlement
    function postBatch(
        uint64 expectedId,
        bytes32 parentRoot,
        bytes32 receiptRoot_,
        uint32 receiptCount,
        bytes32 logRoot,
        bytes32 earningsRoot_,
        uint256 earnedMicroUsd,
        PolicyUse[] calldata policies,
        Charge[] calldata charges
    ) external {
        if (!isPoster[msg.sender]) revert Forbidden(msg.sender);
        if (expectedId != nextBatchId) revert UnexpectedBatch(expectedId, nextBatchId);
        bytes32 lastRoot = receiptRoot[expectedId - 1];
        if (parentRoot != lastRoot) revert UnexpectedParent(parentRoot, lastRoot);
        if (receiptCount == 0 || receiptRoot_ == 0 || policies.length == 0) revert EmptyBatch();

        nextBatchId = expectedId + 1;
        receiptRoot[expectedId] = receiptRoot_;
        earningsRoot = earningsRoot_;
        emit BatchPosted(expectedId, receiptRoot_, receiptCount, logRoot, earningsRoot_, earnedMicroUsd);
        _checkPolicies(expectedId, policies);
        uint256 chargedMicroUsd = _charge(expectedId, charges);
        if (chargedMicroUsd != earnedMicroUsd) revert ChargesDiffer(earnedMicroUsd, chargedMicroUsd);
        totalCharged += chargedMicroUsd.toUint128();
    }

    /// @inheritdoc ISettlement
    function claim(
        PublicKey calldata key,
        uint128 cumulativeMicroUsd,
        InclusionProof calldata proof,
        address to,
        P256Signature calldata signature
    ) external nonReentrant {
        if (to == address(0)) revert ZeroAddress();
        bytes32 leaf = Hashes.earnings(Earnings(key.x, key.y, cumulativeMicroUsd));
        if (!Inclusion.verify(leaf, earningsRoot, proof)) revert InvalidProof(leaf);

        bytes32 id = Payouts.keyId(key);
        Payee storage earner = _payees[id];
        if (cumulativeMicroUsd <= earner.paid) revert AlreadyPaid(id, earner.paid);
        if (!_isSigned(key, to, earner.nonce, signature)) revert InvalidSignature(id, earner.nonce);

        uint128 amount = cumulativeMicroUsd - earner.paid;
        uint128 available = totalCharged - totalPaid;
        if (amount > available) revert EarningsExceedCharges(amount, available);
        earner.paid = cumulativeMicroUsd;
        earner.nonce += 1;
        totalPaid += amount;
        emit Claimed(id, to, amount, cumulativeMicroUsd);
        token.safeTransfer(to, amount);
    }

    /// @inheritdoc ISettlement
    function account(address consumer) external view returns (uint256 balanceMicroUsd, uint256 batchLimitMicroUsd) {
        Account memory of_ = _accounts[consumer];
        return (of_.balance, of_.batchLimit);
    }

    /// @inheritdoc ISettlement
    function payee(PublicKey calldata key) external view returns (uint256 paidMicroUsd, uint256 nonce) {
        Payee memory earner = _payees[Payouts.keyId(key)];
        return (earner.paid, earner.nonce);
    }

    /// @inheritdoc ISettlement
    function isHubKey(bytes32 x, bytes32 y) external view returns (bool) {
        return _hubKeys[Payouts.keyId(PublicKey(x, y))];
    }

    /// @inheritdoc ISettlement
    function isSettled(uint64 batchId, Receipt calldata receipt, InclusionProof calldata proof)
        external
        view
        returns (bool)
    {
        return Inclusion.verify(Hashes.receipt(receipt), receiptRoot[batchId], proof);
    }

    /// @inheritdoc ISettlement
    function payoutDigest(PublicKey calldata key, address to) external view returns (bytes32) {
        return _hashTypedDataV4(Payouts.structHash(key, to, _payees[Payouts.keyId(key)].nonce));
    }

    /// @inheritdoc ISettlement
    function policyHash(Policy calldata policy) external pure returns (bytes32) {
        return Hashes.policy(policy);
    }

    /// @inheritdoc ISettlement
    function receiptId(Receipt calldata receipt) external view returns (bytes32) {
        return Hashes.receipt(receipt);
    }

    /// @dev Poster and owner must stay separate keys.
    function _transferOwnership(address newOwner) internal override {
        if (isPoster[newOwner]) revert Forbidden(newOwner);
        super._transferOwnership(newOwner);
    }

    function _checkPolicies(uint64 batchId, PolicyUse[] calldata policies) private {
        for (uint256 i = 0; i < policies.length; ++i) {
            bytes32 hash = Hashes.policy(policies[i].policy);
            uint256 used = policies[i].countriesUsed;
            uint256 outside = used & ~policies[i].policy.compute;
            if (outside != 0) revert ResidencyUnsatisfiable(hash, outside);
            emit PolicyUsed(batchId, hash, used);
        }
    }

    function _charge(uint64 batchId, Charge[] calldata charges) private returns (uint256 total) {
        address last = address(0);
        for (uint256 i = 0; i < charges.length; ++i) {
            address consumer = charges[i].consumer;
            uint256 amount = charges[i].amountMicroUsd;
            if (consumer <= last) revert ChargesUnordered(consumer);
            last = consumer;

            Account storage from = _accounts[consumer];
            uint256 available = from.balance < from.batchLimit ? from.balance : from.batchLimit;
            if (amount > available) revert PaymentRequired(consumer, amount, available);
            from.balance -= amount.toUint128();
            total += amount;
            emit Charged(batchId, consumer, amount);
        }
    }

    /// @dev WebCrypto hashes its input, so the signature is over sha256 of the typed digest.
    function _isSigned(PublicKey calldata key, address to, uint256 nonce, P256Signature calldata signature)
        private
        view
        returns (bool)
    {
        bytes32 digest = _hashTypedDataV4(Payouts.structHash(key, to, nonce));
        return P256.verify(sha256(abi.encodePacked(digest)), signature.r, signature.s, key.x, key.y);
    }
}
