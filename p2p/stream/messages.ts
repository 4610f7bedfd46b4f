/** What is said on the work stream: the JSON bodies of its control frames, one schema each. */
import { z } from 'zod'
import { Domain } from '#shared/base/eip712.ts'
import { Bytes32, Signature } from '#shared/base/ids.ts'
import { Answer, Work } from '#shared/job/job.ts'
import { LIMITS } from '#shared/base/limits.ts'
import { SignedPresence } from '#shared/node/node.ts'
import { CompiledPolicy, NetworkId } from '#shared/law/policy.ts'
import { Place, Receipt, Ticket } from '#shared/receipt/receipt.ts'
import { PublicKey } from '#shared/base/signature.ts'

/** Versions of the work protocol that this build speaks; a hub speaks this one and the one before. */
export const WORK_VERSION = 1

/** All that a greeting of any version is sure to have; read first, so that an unknown one is named and not just malformed. */
export const Greeting = z.looseObject({ version: z.int() })

/** node → hub, first frame. */
export const Hello = z.strictObject({ version: z.int().min(1), presence: SignedPresence })
export type Hello = z.infer<typeof Hello>

/** hub → node, the answer to hello: who the hub is, and how it sees the node. */
export const Welcome = z.strictObject({
  version: z.int().min(1),
  hub: z.string().max(64),
  /** The hub's P-256 key: signs tickets and countersigns receipts. */
  hubKey: PublicKey,
  domain: Domain,
  place: Place,
  /** Consortia that the hub takes this node to be of. */
  networks: z.array(NetworkId).max(LIMITS.keyNetworks),
  /** Why the hub will send this node no work, in words; null when it will. */
  quarantine: z.string().max(512).nullable(),
})
export type Welcome = z.infer<typeof Welcome>

/** hub → node, whenever it has changed: how the hub sees the node now. It replaces what the welcome said. */
export const Standing = Welcome.pick({ place: true, quarantine: true }).extend({
  /** How the evidence of the node's place was concluded, in words. */
  reasons: z.array(z.string().max(512)).max(32),
})
export type Standing = z.infer<typeof Standing>

/** hub → node: run this. The payload follows in data frames. */
export const JobOffer = z.strictObject({
  ticket: Ticket,
  ticketSignature: Signature,
  policy: CompiledPolicy,
  work: Work,
  /** Salt of the commitments to input and output. */
  salt: Bytes32,
  /** W3C trace context; not signed, for logs only. */
  traceparent: z.string().max(64).nullable(),
})
export type JobOffer = z.infer<typeof JobOffer>

/** hub → node: end this job, and why. */
export const Cancel = z.strictObject({
  /** Nobody waits for it; its time is over; the node said nothing of it; what the node sent is not acceptable. */
  reason: z.enum(['unwanted', 'late', 'silent', 'refused']),
})
export type CancelReason = z.infer<typeof Cancel>['reason']

/** node → hub, last frame of a job, after the output's data frames. */
export const JobResult = z.strictObject({
  answer: Answer,
  receipt: Receipt,
  nodeSignature: Signature,
})
export type JobResult = z.infer<typeof JobResult>

/** node → hub after a reconnect: a receipt that no hub has acknowledged, with what the hub needs to accept it. */
export const StoredReceipt = z.strictObject({
  receipt: Receipt,
  nodeSignature: Signature,
  ticketSignature: Signature,
  policy: CompiledPolicy,
  presence: SignedPresence,
  salt: Bytes32,
})
export type StoredReceipt = z.infer<typeof StoredReceipt>

/** hub → node: these receipts are in durable storage and may be forgotten. */
export const ReceiptAck = z.strictObject({ receiptIds: z.array(Bytes32).max(256) })
export type ReceiptAck = z.infer<typeof ReceiptAck>

export const ERROR_DETAIL_CHARS = 4096

export const ErrorBody = z.strictObject({
  code: z.string().max(64),
  detail: z.string().max(ERROR_DETAIL_CHARS),
  retryable: z.boolean(),
  meta: z.record(z.string(), z.unknown()).optional(),
})
export type ErrorBody = z.infer<typeof ErrorBody>

/** hub → node: load this model; jobs for it wait. Sent only to a node that announced the digest as loadable. */
export const LoadRequest = z.strictObject({
  digest: Bytes32,
  /** Where other nodes give its files, for when its sources do not. */
  peers: z.array(z.string().max(256)).max(LIMITS.loadPeers),
})
export type LoadRequest = z.infer<typeof LoadRequest>

/** node → hub, one for each load: what the node has now, and why the model is not among it. */
export const LoadReply = z.strictObject({
  digest: Bytes32,
  presence: SignedPresence,
  error: ErrorBody.nullable(),
})
export type LoadReply = z.infer<typeof LoadReply>
