/** A settlement batch as pure data: from the chosen receipts to the calldata that settles them. */
import { encodeFunctionData, type Hex } from 'viem'
import { invariant } from '#shared/base/errors.ts'
import { checkpointLeaf, type TenantCheckpoint } from '#shared/audit/entries.ts'
import type { Address, Bytes32 } from '#shared/base/ids.ts'
import { policyWords } from '#shared/law/compile-policy.ts'
import {
  DATA_CLASSES,
  EVIDENCE_CLASSES,
  JURISDICTIONS,
  NODE_TRUSTS,
  VERIFICATION_LEVELS,
  type CompiledPolicy,
} from '#shared/law/policy.ts'
import { buildTree, type Tree } from '#shared/proof/tree.ts'
import { earningsLeaf, EMPTY_ROOT } from '#shared/receipt/settlement.ts'
import { SETTLEMENT_ABI } from '#shared/receipt/settlement-abi.ts'
import type { PublicKey } from '#shared/proof/signature.ts'

/** The facts about a receipt that a batch needs. */
export interface WaitingReceipt {
  readonly id: Bytes32
  readonly key: PublicKey
  readonly consumer: Address
  readonly amountMicroUsd: bigint
  readonly policyHash: Bytes32
  /** Bit of the country where the job ran. */
  readonly country: number
}

export interface KeyEarnings {
  readonly key: PublicKey
  readonly cumulativeMicroUsd: bigint
}

export interface SettlementBatch {
  readonly id: number
  readonly leaves: readonly Bytes32[]
  readonly receiptRoot: Bytes32
  /** In the order of their leaves under the batch's log root. */
  readonly checkpoints: readonly TenantCheckpoint[]
  readonly earningsRoot: Bytes32
  readonly earnedMicroUsd: bigint
  readonly calldata: Hex
}

export interface SettlementBatchInput {
  readonly id: number
  /** Receipt root of the previous batch; {@link EMPTY_ROOT} for the first. */
  readonly parentRoot: Bytes32
  /** In the order of their leaves; at least one. */
  readonly receipts: readonly WaitingReceipt[]
  readonly policies: ReadonlyMap<Bytes32, CompiledPolicy>
  /** The newest log checkpoint of each tenant with receipts in the batch. */
  readonly checkpoints: readonly TenantCheckpoint[]
  /** The earnings of all keys before this batch. */
  readonly earnings: readonly KeyEarnings[]
}

export function buildSettlementBatch(input: SettlementBatchInput): SettlementBatch {
  const { id, parentRoot, receipts, policies, earnings } = input
  invariant(receipts.length > 0, 'a batch has at least one receipt')
  const leaves = receipts.map((receipt) => receipt.id)
  const receiptRoot = treeOver(leaves).root
  const earningsRoot = earningsTree(addEarnings(earnings, receipts)).root
  const checkpoints = input.checkpoints.toSorted((a, b) => (a.tenant < b.tenant ? -1 : 1))
  const earnedMicroUsd = receipts.reduce((sum, { amountMicroUsd }) => sum + amountMicroUsd, 0n)
  const calldata = encodeFunctionData({
    abi: SETTLEMENT_ABI,
    functionName: 'postBatch',
    args: [
      BigInt(id),
      parentRoot,
      receiptRoot,
      leaves.length,
      logTree(checkpoints).root,
      earningsRoot,
      earnedMicroUsd,
      policyUses(receipts, policies),
      charges(receipts),
    ],
  })
  return { id, leaves, receiptRoot, checkpoints, earningsRoot, earnedMicroUsd, calldata }
}

/** The tree over a batch's checkpoints. */
export function logTree(checkpoints: readonly TenantCheckpoint[]): Tree {
  return treeOver(checkpoints.map(checkpointLeaf))
}

/** The tree over these leaves; its root is {@link EMPTY_ROOT} when there are none. */
function treeOver(leaves: readonly Bytes32[]): Tree {
  const tree = buildTree(leaves)
  return leaves.length === 0 ? { ...tree, root: EMPTY_ROOT } : tree
}

/** The earnings after a batch. */
export function addEarnings(
  earnings: readonly KeyEarnings[],
  receipts: readonly Pick<WaitingReceipt, 'key' | 'amountMicroUsd'>[],
): KeyEarnings[] {
  const byKey = new Map(earnings.map((earned) => [keyName(earned.key), earned]))
  for (const { key, amountMicroUsd } of receipts) {
    const before = byKey.get(keyName(key))?.cumulativeMicroUsd ?? 0n
    byKey.set(keyName(key), { key, cumulativeMicroUsd: before + amountMicroUsd })
  }
  return [...byKey.values()]
}

/** One leaf for each key that earned something, in the order of the keys. */
export function earningsTree(earnings: readonly KeyEarnings[]): Tree & {
  readonly leafOf: (key: PublicKey) => number | undefined
} {
  const earners = earnings
    .filter(({ cumulativeMicroUsd }) => cumulativeMicroUsd > 0n)
    .toSorted((a, b) => (keyName(a.key) < keyName(b.key) ? -1 : 1))
  const tree = treeOver(
    earners.map(({ key, cumulativeMicroUsd }) => earningsLeaf(key, cumulativeMicroUsd)),
  )
  const positions = new Map(earners.map(({ key }, position) => [keyName(key), position]))
  return { ...tree, leafOf: (key) => positions.get(keyName(key)) }
}

/** A key as one hex string, x then y. */
export function keyName({ x, y }: PublicKey): string {
  return x + y.slice(2)
}

/** The reverse of {@link keyName}. */
export function toKey(name: string): PublicKey {
  return { x: name.slice(0, 66) as Bytes32, y: `0x${name.slice(66)}` }
}

function policyUses(
  receipts: readonly WaitingReceipt[],
  policies: ReadonlyMap<Bytes32, CompiledPolicy>,
) {
  const used = new Map<Bytes32, bigint>()
  for (const { policyHash, country } of receipts) {
    used.set(policyHash, (used.get(policyHash) ?? 0n) | (1n << BigInt(country)))
  }
  return [...used].map(([hash, countriesUsed]) => {
    const policy = policies.get(hash)
    invariant(policy, `policy ${hash} of a receipt is kept`)
    return { policy: policyArguments(policy), countriesUsed }
  })
}

/** The policy as the contract's struct: enumerated words as their index. */
export function policyArguments(policy: CompiledPolicy) {
  const words = policyWords(policy)
  return {
    ...words,
    ingress: BigInt(words.ingress),
    compute: BigInt(words.compute),
    storage_: JURISDICTIONS.indexOf(words.storage),
    minEvidence: EVIDENCE_CLASSES.indexOf(words.minEvidence),
    dataClass: DATA_CLASSES.indexOf(words.dataClass),
    nodeTrust: NODE_TRUSTS.indexOf(words.nodeTrust),
    verification: VERIFICATION_LEVELS.indexOf(words.verification),
  }
}

/** One charge per consumer, in ascending order, as the contract requires. */
function charges(receipts: readonly WaitingReceipt[]) {
  const owed = new Map<Address, bigint>()
  for (const { consumer, amountMicroUsd } of receipts) {
    if (amountMicroUsd > 0n) owed.set(consumer, (owed.get(consumer) ?? 0n) + amountMicroUsd)
  }
  return [...owed]
    .map(([consumer, amountMicroUsd]) => ({ consumer, amountMicroUsd }))
    .toSorted((a, b) => (a.consumer < b.consumer ? -1 : 1))
}
