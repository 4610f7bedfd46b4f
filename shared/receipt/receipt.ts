/** Ticket and receipt: the hub's permission, and the node's work. */
import { bytesToHex } from 'viem'
import { z } from 'zod'
import { Bytes32, JobId, NodeId, TenantId } from '#shared/base/ids.ts'
import { PROVIDERS } from '#shared/job/job.ts'
import { MicroUsd } from './money.ts'
import { nativeCrypto, sha256Bytes, sha256Hex } from '#shared/base/native-crypto.ts'
import { SignedPresence } from '#shared/node/node.ts'
import {
  CompiledPolicy,
  EVIDENCE_CLASSES,
  EVIDENCE_SOURCES,
  NODE_TRUSTS,
} from '#shared/law/policy.ts'
import { Domain } from '#shared/proof/domain.ts'
import {
  amount,
  bits,
  encode,
  oneOf,
  optionalText,
  struct,
  text,
  uint,
  word,
} from '#shared/proof/encoding.ts'
import { layout } from '#shared/proof/layout.ts'
import { PublicKey } from '#shared/proof/signature.ts'
import { leafHash } from '#shared/proof/tree.ts'
import { TreeSignature } from '#shared/proof/tree-signature.ts'

/** Where a node stands, as its hub saw it at dispatch. `country` is a bit of the table in `region.ts`. */
export const Place = z.strictObject({
  country: z.int().min(0).max(255),
  evidence: z.enum(EVIDENCE_CLASSES),
  source: z.enum(EVIDENCE_SOURCES),
  /** The deployment's trust in the node, on which the policy decides too. */
  trust: z.enum(NODE_TRUSTS),
  /** The tenant whose key vouched for the node, or `operator`; null for nobody. The policy says whose vouching counts. */
  voucher: TenantId.nullable(),
  /** Countries that the evidence leaves possible: only the claimed one, unless round trips bound the node. */
  possible: Bytes32,
  /** SHA-256 of the evidence record's canonical JSON (`evidence.ts`); zero where there is none. */
  evidenceHash: Bytes32,
})
export type Place = z.infer<typeof Place>

/** A hub's permission to run one attempt of one job on one node. It is part of the receipt that both sign. */
export const Ticket = z.strictObject({
  jobId: JobId,
  attempt: z.int().min(1).max(0xffff_ffff),
  hub: z.string().max(64),
  nodeId: NodeId,
  tenant: TenantId,
  policyHash: Bytes32,
  /** The policy's compute set, narrowed by the request. */
  allowed: Bytes32,
  place: Place,
  /** Manifest digest, or SHA-256 of the WGSL. */
  workDigest: Bytes32,
  inputCommitment: Bytes32,
  units: z.int().min(0),
  priceMicroUsd: z.int().min(0),
  issuedAtMs: z.int().min(0),
  expiresAtMs: z.int().min(0),
})
export type Ticket = z.infer<typeof Ticket>

/** A node's work under a ticket. The node signs it by its receipt key, then the hub. */
export const Receipt = z.strictObject({
  ticket: Ticket,
  receiptKey: PublicKey,
  outputCommitment: Bytes32,
  units: z.int().min(0),
  amountMicroUsd: MicroUsd,
  startedAtMs: z.int().min(0),
  finishedAtMs: z.int().min(0),
  provider: z.enum(PROVIDERS),
})
export type Receipt = z.infer<typeof Receipt>

const PLACE = struct<Place>({
  country: uint(1),
  evidence: oneOf(EVIDENCE_CLASSES),
  source: oneOf(EVIDENCE_SOURCES),
  trust: oneOf(NODE_TRUSTS),
  voucher: optionalText(),
  possible: bits,
  evidenceHash: word,
})

const TICKET = struct<Ticket>({
  jobId: text(),
  attempt: uint(4),
  hub: text(),
  nodeId: text(),
  tenant: text(),
  policyHash: word,
  allowed: bits,
  place: PLACE,
  workDigest: word,
  inputCommitment: word,
  units: uint(8),
  priceMicroUsd: uint(8),
  issuedAtMs: uint(8),
  expiresAtMs: uint(8),
})

/** What a node adds to its ticket. The rest of the receipt follows from ticket, key and price. */
export const NodeWork = Receipt.pick({
  outputCommitment: true,
  units: true,
  startedAtMs: true,
  finishedAtMs: true,
  provider: true,
})
export type NodeWork = z.infer<typeof NodeWork>

/** The receipt that node and hub both write down, each for itself. */
export function receiptOf(ticket: Ticket, receiptKey: PublicKey, work: NodeWork): Receipt {
  const amountMicroUsd = (BigInt(work.units) * BigInt(ticket.priceMicroUsd)).toString()
  return { ...work, ticket, receiptKey, amountMicroUsd }
}

/** Once published, it changes only with its version. */
export const RECEIPT_LAYOUT = layout(
  'receipt',
  1,
  struct<Receipt>({
    ticket: TICKET,
    receiptKey: struct<PublicKey>({ x: word, y: word }),
    outputCommitment: word,
    units: uint(8),
    amountMicroUsd: amount,
    startedAtMs: uint(8),
    finishedAtMs: uint(8),
    provider: oneOf(PROVIDERS),
  }),
)

/** A receipt's id: the hash of the RFC 9162 leaf whose entry are the receipt's bytes. It is the leaf in every tree. */
export function receiptId(receiptBytes: Uint8Array): Bytes32 {
  return bytesToHex(leafHash(receiptBytes))
}

const COMMITTED = struct<{ salt: Bytes32; bytesDigest: Bytes32 }>({ salt: word, bytesDigest: word })

/** Commits to bytes that are never stored: `sha256(salt ‖ sha256(bytes))`. Without the salt it links to nothing. */
export function commitment(salt: Bytes32, bytesDigest: Bytes32): Bytes32 {
  return sha256Hex(encode(COMMITTED, { salt, bytesDigest }))
}

/** WebCrypto digests more bytes than this, so that the thread stays free. JavaScript digests few bytes without a promise. */
const DIGEST_AT_ONCE_BYTES = nativeCrypto === undefined ? 1_024 : 256 * 1024

export async function digestBytes(bytes: Uint8Array): Promise<Bytes32> {
  const digest =
    bytes.length <= DIGEST_AT_ONCE_BYTES
      ? sha256Bytes(bytes)
      : new Uint8Array(await crypto.subtle.digest('SHA-256', bytes as Uint8Array<ArrayBuffer>))
  return bytesToHex(digest)
}

/** A receipt with everything that a stranger needs to check it offline, except its settlement. */
export const SignedReceipt = z.strictObject({
  version: z.literal(2),
  id: Bytes32,
  domain: Domain,
  receipt: Receipt,
  nodeSignature: TreeSignature,
  /** The hub issued the ticket and checked the answer: both are in the receipt. */
  hubSignature: TreeSignature,
  hubKey: PublicKey,
  policy: CompiledPolicy,
  /** Binds the receipt key to the node's libp2p identity. */
  presence: SignedPresence,
})
export type SignedReceipt = z.infer<typeof SignedReceipt>

/** A receipt's position on the chain. */
export const Settlement = z.strictObject({
  batchId: z.int().min(0),
  receiptRoot: Bytes32,
  /** The receipt's place among the batch's receipts, from 0, and their number. */
  index: z.int().min(0),
  receiptCount: z.int().min(1),
  /** Sibling hashes from the receipt up. */
  proof: z.array(Bytes32).max(64),
  transactionHash: Bytes32,
  blockNumber: z.int().min(0),
})
export type Settlement = z.infer<typeof Settlement>

/** The document that `GET /v1/receipts/{id}` answers and `npm run verify` reads. */
export const ReceiptDocument = z.strictObject({
  receipt: SignedReceipt,
  /** Opens the commitments, for a holder of the inputs; null once erased. */
  salt: Bytes32.nullable(),
  status: z.enum(['pending', 'settled', 'refused']),
  refusal: z.string().nullable(),
  settlement: Settlement.nullable(),
  /** When a pending receipt's batch should be on the chain; null where no batch will come. */
  settlesByMs: z.int().nullable(),
})
export type ReceiptDocument = z.infer<typeof ReceiptDocument>
