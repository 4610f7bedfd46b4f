/** Ticket and receipt as EIP-712 structs: the hub's permission, and the node's work. */
import { bytesToHex, concat, hexToBytes } from 'viem'
import { z } from 'zod'
import { Domain, structHash } from '#shared/base/eip712.ts'
import {
  Bytes32,
  JobId,
  nameHash,
  NodeId,
  Signature,
  TenantId,
  ZERO_BYTES32,
} from '#shared/base/ids.ts'
import { PROVIDERS } from '#shared/job/job.ts'
import { memoizeByObject } from '#shared/base/memoize.ts'
import { MicroUsd } from './money.ts'
import { nativeCrypto, sha256Hex } from '#shared/base/native-crypto.ts'
import { SignedPresence } from '#shared/node/node.ts'
import {
  CompiledPolicy,
  EVIDENCE_CLASSES,
  EVIDENCE_SOURCES,
  NODE_TRUSTS,
} from '#shared/law/policy.ts'
import { PublicKey } from '#shared/base/signature.ts'

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

/** Permission to run one attempt of one job on one node, signed by the hub. */
export const Ticket = z.strictObject({
  jobId: JobId,
  attempt: z.int().min(1),
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
  issuedAtMs: z.int(),
  expiresAtMs: z.int(),
})
export type Ticket = z.infer<typeof Ticket>

export const TICKET_TYPE =
  'Ticket(bytes32 jobId,uint32 attempt,bytes32 hub,bytes32 node,bytes32 tenant,bytes32 policyHash,uint256 allowed,' +
  'uint8 country,uint8 evidence,uint8 source,uint8 trust,uint256 possible,bytes32 evidenceHash,bytes32 voucher,bytes32 workDigest,' +
  'bytes32 inputCommitment,uint64 units,uint64 priceMicroUsd,uint64 issuedAtMs,uint64 expiresAtMs)'

/** Remembered, because hub and node need it several times a job; the ticket must not be changed. */
export const ticketHash = memoizeByObject((ticket: Ticket): Bytes32 =>
  structHash(TICKET_TYPE, [
    nameHash(ticket.jobId),
    ticket.attempt,
    nameHash(ticket.hub),
    nameHash(ticket.nodeId),
    nameHash(ticket.tenant),
    ticket.policyHash,
    ticket.allowed,
    ...placeWords(ticket.place),
    ticket.place.possible,
    ticket.place.evidenceHash,
    voucherHash(ticket.place.voucher),
    ticket.workDigest,
    ticket.inputCommitment,
    ticket.units,
    ticket.priceMicroUsd,
    ticket.issuedAtMs,
    ticket.expiresAtMs,
  ]),
)

export function voucherHash(voucher: string | null): Bytes32 {
  return voucher === null ? ZERO_BYTES32 : nameHash(voucher)
}

export const VERIFICATIONS = ['none', 'replicated', 'canary'] as const

/** A node's work under a ticket, signed by its receipt key. */
export const Receipt = z.strictObject({
  ticket: Ticket,
  receiptKey: PublicKey,
  outputCommitment: Bytes32,
  units: z.int().min(0),
  amountMicroUsd: MicroUsd,
  startedAtMs: z.int(),
  finishedAtMs: z.int(),
  provider: z.enum(PROVIDERS),
  verification: z.enum(VERIFICATIONS),
})
export type Receipt = z.infer<typeof Receipt>

export const RECEIPT_TYPE =
  'Receipt(bytes32 ticketHash,bytes32 jobId,uint32 attempt,bytes32 tenant,bytes32 policyHash,uint8 country,' +
  'uint8 evidence,uint8 source,uint8 trust,bytes32 node,bytes32 receiptKeyX,bytes32 receiptKeyY,bytes32 workDigest,' +
  'bytes32 inputCommitment,bytes32 outputCommitment,uint64 units,uint64 priceMicroUsd,uint64 amountMicroUsd,' +
  'uint64 startedAtMs,uint64 finishedAtMs,uint8 provider,uint8 verification)'

/** The receipt's id and Merkle leaf: its EIP-712 struct hash. The receipt must not be changed. */
export const receiptHash = memoizeByObject((receipt: Receipt): Bytes32 => {
  const { ticket } = receipt
  return structHash(RECEIPT_TYPE, [
    ticketHash(ticket),
    nameHash(ticket.jobId),
    ticket.attempt,
    nameHash(ticket.tenant),
    ticket.policyHash,
    ...placeWords(ticket.place),
    nameHash(ticket.nodeId),
    receipt.receiptKey.x,
    receipt.receiptKey.y,
    ticket.workDigest,
    ticket.inputCommitment,
    receipt.outputCommitment,
    receipt.units,
    ticket.priceMicroUsd,
    BigInt(receipt.amountMicroUsd),
    receipt.startedAtMs,
    receipt.finishedAtMs,
    PROVIDERS.indexOf(receipt.provider),
    VERIFICATIONS.indexOf(receipt.verification),
  ])
})

/** Commits to bytes that are never stored: `sha256(salt ‖ sha256(bytes))`. Without the salt it links to nothing. */
export function commitment(salt: Bytes32, bytesDigest: Bytes32): Bytes32 {
  return sha256Hex(hexToBytes(concat([salt, bytesDigest])))
}

/** WebCrypto digests more bytes than this, so that the thread stays free. */
const DIGEST_AT_ONCE_BYTES = 256 * 1024

export async function digestBytes(bytes: Uint8Array): Promise<Bytes32> {
  const digest =
    nativeCrypto !== undefined && bytes.length <= DIGEST_AT_ONCE_BYTES
      ? nativeCrypto.sha256(bytes)
      : new Uint8Array(await crypto.subtle.digest('SHA-256', bytes as Uint8Array<ArrayBuffer>))
  return bytesToHex(digest)
}

/** A receipt with everything that a stranger needs to check it offline, except its settlement. */
export const SignedReceipt = z.strictObject({
  version: z.literal(1),
  id: Bytes32,
  domain: Domain,
  receipt: Receipt,
  nodeSignature: Signature,
  ticketSignature: Signature,
  hubSignature: Signature,
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

function placeWords(place: Place): [number, number, number, number] {
  return [
    place.country,
    EVIDENCE_CLASSES.indexOf(place.evidence),
    EVIDENCE_SOURCES.indexOf(place.source),
    NODE_TRUSTS.indexOf(place.trust),
  ]
}
