/** JSON bodies of the work stream's control frames, one schema each. */
import { z } from 'zod'
import { Domain } from '#shared/proof/domain.ts'
import { Bytes32, JobId } from '#shared/base/ids.ts'
import { Answer, Work } from '#shared/job/job.ts'
import { LIMITS } from '#shared/base/limits.ts'
import { SignedPresence } from '#shared/node/node.ts'
import { CompiledPolicy, NetworkId } from '#shared/law/policy.ts'
import { NodeWork, Place, Ticket } from '#shared/receipt/receipt.ts'
import { PublicKey } from '#shared/proof/signature.ts'
import { TreeSignature } from '#shared/proof/tree-signature.ts'

/** The version of the work protocol that this build speaks. */
export const WORK_VERSION = 2

/** The oldest version that a hub speaks. Version 1 had signed tickets, and was never released. */
export const OLDEST_WORK_VERSION = 2

/** The members that a greeting of any version has. It is read first, so that an unknown version gets its own error. */
export const Greeting = z.looseObject({ version: z.int() })

/** node → hub, first frame. */
export const Hello = z.strictObject({ version: z.int().min(1), presence: SignedPresence })
export type Hello = z.infer<typeof Hello>

/** hub → node, the reply to hello: who the hub is, and how it sees the node. */
export const Welcome = z.strictObject({
  version: z.int().min(1),
  hub: z.string().max(64),
  /** The hub's P-256 key: signs receipts after the node. */
  hubKey: PublicKey,
  domain: Domain,
  place: Place,
  /** Consortia that the hub counts this node to. */
  networks: z.array(NetworkId).max(LIMITS.keyNetworks),
  /** Why the hub sends this node no work; null if it does. */
  quarantine: z.string().max(512).nullable(),
})
export type Welcome = z.infer<typeof Welcome>

/** hub → node, on each change: how the hub sees the node now. Replaces the welcome's values. */
export const Standing = Welcome.pick({ place: true, quarantine: true }).extend({
  /** The reasons for the node's place. */
  reasons: z.array(z.string().max(512)).max(32),
})
export type Standing = z.infer<typeof Standing>

/** Policies of one stream that hub and node both remember, the newest. */
export const POLICIES_KEPT = 64

/** hub → node: run this. The payload follows in data frames. The stream's encryption shows that the ticket is the hub's. */
export const JobOffer = z.strictObject({
  ticket: Ticket,
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
  /** Nobody waits for it; its time is over; the node was silent; its data is unacceptable. */
  reason: z.enum(['unwanted', 'late', 'silent', 'refused']),
})
export type CancelReason = z.infer<typeof Cancel>['reason']

/** node → hub, last frame of a job, after the output's data frames. The hub writes the receipt from its own ticket. */
export const JobResult = z.strictObject({
  answer: Answer,
  work: NodeWork,
  nodeSignature: TreeSignature,
})
export type JobResult = z.infer<typeof JobResult>

/** node → hub after a reconnect: a receipt that the node keeps until the hub says that it may forget it. */
export const KeptReceipt = z.strictObject({
  receiptId: Bytes32,
  jobId: JobId,
  /** The hub that issued the ticket. */
  hub: z.string().max(64),
})
export type KeptReceipt = z.infer<typeof KeptReceipt>

/** hub → node: these receipts are stored durably and may be forgotten. */
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

/** hub → node: load this model, for which jobs wait. Sent only if the node announced its digest as loadable. */
export const LoadRequest = z.strictObject({
  digest: Bytes32,
  /** Addresses where other nodes serve its files, in case its sources fail. */
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
