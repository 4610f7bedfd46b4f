/**
 * Receipts on their way from a hub to Tenant and Ledger. A receipt's bytes are the node's and the hub's own; nobody between
 * them reads or rewrites them. What several receipts share stands in a group once.
 */
import { invariant } from '#shared/base/errors.ts'
import type { Address, Bytes32 } from '#shared/base/ids.ts'
import type { CompiledPolicy } from '#shared/law/policy.ts'
import { memoize } from '#shared/base/memoize.ts'
import type { SignedPresence } from '#shared/node/node.ts'
import type { EvidenceRecord } from '#shared/place/evidence.ts'
import {
  account,
  bytes,
  list,
  optional,
  struct,
  uint,
  word,
  type Field,
} from '#shared/proof/encoding.ts'
import type { PublicKey } from '#shared/proof/signature.ts'
import { TREE_SIGNATURE, type TreeSignature } from '#shared/proof/tree-signature.ts'
import { RECEIPT_LAYOUT, type SignedReceipt } from '#shared/receipt/receipt.ts'

export interface GroupedReceipt {
  readonly id: Bytes32
  /** By {@link RECEIPT_LAYOUT}. */
  readonly receipt: Uint8Array
  readonly nodeSignature: TreeSignature
  readonly hubSignature: TreeSignature
  /** Opens the commitments to input and output. */
  readonly salt: Bytes32
  /** The account that pays, as the request named it; null to ask the tenant. */
  readonly consumer: Address | null
  /** Index into the group's presences. */
  readonly presence: number
}

export interface ReceiptGroup {
  readonly hubKey: PublicKey
  /** Each policy that a receipt names by its hash. */
  readonly policies: readonly CompiledPolicy[]
  /** Each presence record that binds a receipt key to its node. */
  readonly presences: readonly SignedPresence[]
  /** Each record of evidence that a receipt names by its hash. */
  readonly evidence: readonly EvidenceRecord[]
  readonly receipts: readonly GroupedReceipt[]
}

/** Parsed texts of one kind that are remembered: rows beside each other name the same few policies and nodes. */
const TEXTS_KEPT = 64

/** A receipt of a stored group: what it names, as indexes, so that it can be sent on unread. */
interface StoredReceipt extends GroupedReceipt {
  readonly policy: number
  /** Null where the ticket names none. */
  readonly evidence: number | null
}

export interface StoredGroup extends ReceiptGroup {
  readonly receipts: readonly StoredReceipt[]
}

/** The group as bytes, for the hub's storage. */
export const RECEIPT_GROUP: Field<StoredGroup> = struct<StoredGroup>({
  hubKey: struct<PublicKey>({ x: word, y: word }),
  policies: jsonList<CompiledPolicy>(),
  presences: jsonList<SignedPresence>(),
  evidence: jsonList<EvidenceRecord>(),
  receipts: list(
    struct<StoredReceipt>({
      id: word,
      receipt: bytes,
      nodeSignature: TREE_SIGNATURE,
      hubSignature: TREE_SIGNATURE,
      salt: word,
      consumer: optional(account),
      presence: uint(4),
      policy: uint(4),
      evidence: optional(uint(4)),
    }),
  ),
})

/** The whole document of one receipt of a group. */
export function signedReceipt(
  {
    id,
    receipt,
    nodeSignature,
    hubSignature,
  }: Omit<GroupedReceipt, 'salt' | 'consumer' | 'presence'>,
  shared: {
    readonly hubKey: PublicKey
    readonly policy: CompiledPolicy
    readonly presence: SignedPresence
  },
): SignedReceipt {
  const { domain, value } = RECEIPT_LAYOUT.decode(receipt)
  const { hubKey, policy, presence } = shared
  return {
    version: 2,
    id,
    domain,
    receipt: value,
    nodeSignature,
    hubSignature,
    hubKey,
    policy,
    presence,
  }
}

/** One receipt of a group with everything that it names. Its tenant is its policy's. */
export interface WholeReceipt extends Omit<GroupedReceipt, 'presence'> {
  readonly policy: CompiledPolicy
  readonly presence: SignedPresence
  /** Null where the ticket names none. */
  readonly evidence: EvidenceRecord | null
}

/** Equal records of evidence should be one object, so that they stand in the group once. */
export function groupOf(hubKey: PublicKey, receipts: readonly WholeReceipt[]): StoredGroup {
  const policies = new Places<CompiledPolicy>()
  const presences = new Places<SignedPresence>()
  const evidence = new Places<EvidenceRecord>()
  const stored = receipts.map((receipt): StoredReceipt => ({
    id: receipt.id,
    receipt: receipt.receipt,
    nodeSignature: receipt.nodeSignature,
    hubSignature: receipt.hubSignature,
    salt: receipt.salt,
    consumer: receipt.consumer,
    presence: presences.of(receipt.presence, receipt.presence.signature),
    policy: policies.of(receipt.policy, receipt.policy.hash),
    evidence: receipt.evidence && evidence.of(receipt.evidence, receipt.evidence),
  }))
  return {
    hubKey,
    policies: policies.all,
    presences: presences.all,
    evidence: evidence.all,
    receipts: stored,
  }
}

/** The place of each value in a list that has it once. */
class Places<T> {
  readonly all: T[] = []
  readonly #known = new Map<unknown, number>()

  of(value: T, name: unknown): number {
    const known = this.#known.get(name)
    if (known !== undefined) return known
    this.#known.set(name, this.all.length)
    return this.all.push(value) - 1
  }
}

/** The reverse of {@link groupOf}. @throws {AppError} internal for a group that lacks what a receipt names */
export function receiptsOf({
  policies,
  presences,
  evidence,
  receipts,
}: StoredGroup): WholeReceipt[] {
  return receipts.map((stored) => {
    const [policy, presence] = [policies[stored.policy], presences[stored.presence]]
    const record = stored.evidence === null ? null : evidence[stored.evidence]
    const isWhole = policy !== undefined && presence !== undefined && record !== undefined
    invariant(isWhole, 'a group holds what its receipts name')
    return { ...stored, policy, presence, evidence: record }
  })
}

/** Our own objects wrote it, so it is read back without a schema. Texts that were read lately give the same object. */
function jsonList<T>(): Field<readonly T[]> {
  const texts = list(bytes)
  const parse = memoize((text) => ({ value: JSON.parse(text) as T }), TEXTS_KEPT)
  return {
    solidity: 'bytes',
    write: (into, values) =>
      texts.write(
        into,
        values.map((value) => new TextEncoder().encode(JSON.stringify(value))),
      ),
    read: (from) => texts.read(from).map((text) => parse(new TextDecoder().decode(text)).value),
  }
}
