/**
 * Receipts on their way from a hub to Tenant and Ledger. A receipt's bytes are the node's and the hub's own; nobody between
 * them reads or rewrites them. What several receipts share stands in a group once.
 */
import { invariant } from '#shared/base/errors.ts'
import type { Address, Bytes32 } from '#shared/base/ids.ts'
import type { CompiledPolicy } from '#shared/law/policy.ts'
import type { SignedPresence } from '#shared/node/node.ts'
import { evidenceHash, type EvidenceRecord } from '#shared/place/evidence.ts'
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
import { RECEIPT_LAYOUT, type SignedReceipt, type Ticket } from '#shared/receipt/receipt.ts'

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

/** The group as bytes, for the hub's storage. */
export const RECEIPT_GROUP: Field<ReceiptGroup> = struct<ReceiptGroup>({
  hubKey: struct<PublicKey>({ x: word, y: word }),
  policies: jsonList<CompiledPolicy>(),
  presences: jsonList<SignedPresence>(),
  evidence: jsonList<EvidenceRecord>(),
  receipts: list(
    struct<GroupedReceipt>({
      id: word,
      receipt: bytes,
      nodeSignature: TREE_SIGNATURE,
      hubSignature: TREE_SIGNATURE,
      salt: word,
      consumer: optional(account),
      presence: uint(4),
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

/** One receipt of a group with everything that it names. */
export interface WholeReceipt extends Omit<GroupedReceipt, 'presence'> {
  readonly ticket: Ticket
  readonly policy: CompiledPolicy
  readonly presence: SignedPresence
  /** Null where the ticket names none. */
  readonly evidence: EvidenceRecord | null
}

export function groupOf(hubKey: PublicKey, receipts: readonly WholeReceipt[]): ReceiptGroup {
  const policies = new Map(receipts.map(({ policy }) => [policy.hash, policy]))
  const presences = new Map(receipts.map(({ presence }) => [presence.signature, presence]))
  const evidence = new Map(
    receipts.map((receipt) => [receipt.ticket.place.evidenceHash, receipt.evidence]),
  )
  const positions = new Map([...presences.keys()].map((name, index) => [name, index]))
  return {
    hubKey,
    policies: [...policies.values()],
    presences: [...presences.values()],
    evidence: [...evidence.values()].filter((record) => record !== null),
    receipts: receipts.map(({ presence, ...receipt }) => ({
      id: receipt.id,
      receipt: receipt.receipt,
      nodeSignature: receipt.nodeSignature,
      hubSignature: receipt.hubSignature,
      salt: receipt.salt,
      consumer: receipt.consumer,
      presence: positions.get(presence.signature) ?? 0,
    })),
  }
}

/** The reverse of {@link groupOf}. @throws {AppError} internal for a group that lacks what a receipt names */
export function receiptsOf({
  policies,
  presences,
  evidence,
  receipts,
}: ReceiptGroup): WholeReceipt[] {
  const byHash = new Map(policies.map((policy) => [policy.hash, policy]))
  const records = new Map(evidence.map((record) => [evidenceHash(record), record]))
  return receipts.map((receipt) => {
    const { ticket } = RECEIPT_LAYOUT.decode(receipt.receipt).value
    const [policy, presence] = [byHash.get(ticket.policyHash), presences[receipt.presence]]
    invariant(policy && presence, 'a group holds the policies and presences of its receipts')
    const found = records.get(ticket.place.evidenceHash) ?? null
    return { ...receipt, ticket, policy, presence, evidence: found }
  })
}

/** Our own objects wrote it, so it is read back without a schema. */
function jsonList<T>(): Field<readonly T[]> {
  const texts = list(bytes)
  return {
    solidity: 'bytes',
    write: (into, values) =>
      texts.write(
        into,
        values.map((value) => new TextEncoder().encode(JSON.stringify(value))),
      ),
    read: (from) => texts.read(from).map((text) => JSON.parse(new TextDecoder().decode(text)) as T),
  }
}
