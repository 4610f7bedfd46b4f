/** Messages between Worker and Hub over `stub.fetch`: a request with its payload, an outcome with its answer. */
import { z } from 'zod'
import { NetworkNode } from '#shared/api/network.ts'
import { Address, Bytes32, JobId, NodeId, TenantId } from '#shared/base/ids.ts'
import { Answer, Work } from '#shared/job/job.ts'
import { libraryOutputBytes } from '#shared/kernels/kernels.ts'
import { LIMITS } from '#shared/base/limits.ts'
import { MicroUsd } from '#shared/receipt/money.ts'
import type { NodeFacts } from '#shared/law/decide.ts'
import { PlaceObservation } from '#shared/place/evidence.ts'
import type { NODE_KINDS } from '#shared/node/node.ts'
import { CompiledPolicy } from '#shared/law/policy.ts'
import { Place } from '#shared/receipt/receipt.ts'
import { AdmissionClaims } from '#worker/edge/admission.ts'

/** Default deadline of a request. */
export const REQUEST_TIMEOUT_MS = 60_000
/** Attempts of one job. */
export const DISPATCH_ATTEMPTS = 3

/** The sender of a job, and the policy that applies to it. */
const SENDER = {
  requestId: z.string().max(128),
  tenant: TenantId,
  /** The on-chain account that pays; null while the tenant has named none. Its receipts then wait. */
  consumer: Address.nullable(),
  policy: CompiledPolicy,
  /** The policy's compute set, narrowed by the request. */
  allowed: Bytes32,
  /** W3C trace context of the span that the node's work belongs to. */
  traceparent: z.string().max(64).nullable(),
}

export const DispatchRequest = z.strictObject({
  ...SENDER,
  jobId: JobId,
  /** The first ticket's attempt. It is higher when the job was dispatched before, so that job and attempt name one ticket. @default 1 */
  firstAttempt: z.int().min(1).optional(),
  work: Work,
  /** Units and price follow from the manifest or the kernel's size, never from the node's claim. */
  units: z.int().min(0),
  priceMicroUsd: z.int().min(0),
  timeoutMs: z.int().min(1).max(LIMITS.jobTimeoutMs),
  /** True if the answer's bytes are streamed. After the first of them a lost node ends the job. */
  stream: z.boolean(),
  /** The only node that may take the job: that of a session. The policy still applies. */
  nodeId: NodeId.nullable(),
  /** True to refuse a model that no allowed node has loaded, because another hub may have it warm. */
  warmOnly: z.boolean().optional(),
})
export type DispatchRequest = z.infer<typeof DispatchRequest>

/** @returns bytes of a kernel's answer; undefined for a model, whose small answer is bounded on the stream */
export function answerBytes(work: Work): number | undefined {
  if (work.kind === 'library') return libraryOutputBytes(work)
  if (work.kind !== 'kernel') return undefined
  return work.buffers.reduce((sum, buffer) => sum + (buffer.return ? buffer.sizeBytes : 0), 0)
}

/** Who opened a session and what it may do. The Worker checked it before it forwarded the WebSocket. */
export const SessionGrant = z.strictObject({
  ...SENDER,
  /** The key that opened the session. When it is revoked, the session ends. */
  keyId: z.string().max(128),
  /** Bit of the country where the connection entered. */
  ingress: z.int().min(0).max(255),
})
export type SessionGrant = z.infer<typeof SessionGrant>

/** Internal header that holds a {@link SessionGrant} as JSON. */
export const SESSION_HEADER = 'x-littoral-internal-session'

/** The facts that are known when the first byte of a streamed answer goes out. */
export const DispatchHead = z.strictObject({ nodeId: NodeId, place: Place })
export type DispatchHead = z.infer<typeof DispatchHead>

/** The parts of one job's time, as measured by the hub. */
export const DispatchTiming = z.strictObject({
  /** From arrival at the hub until the chosen node had a free slot. */
  queueMs: z.number(),
  /** Round trip of the dispatch minus the node's compute time. */
  networkMs: z.number(),
  computeMs: z.number(),
  /** Time that the job waited for a model to load, before the queue; absent when a node had it. */
  loadMs: z.number().optional(),
})

export const DispatchOutcome = z.strictObject({
  receiptId: Bytes32,
  nodeId: NodeId,
  place: Place,
  answer: Answer,
  units: z.int(),
  amountMicroUsd: MicroUsd,
  timing: DispatchTiming,
  attempts: z.int(),
})
export type DispatchOutcome = z.infer<typeof DispatchOutcome>

export interface DispatchResult {
  readonly outcome: DispatchOutcome
  /** The outputs' bytes, in the order of `outcome.answer.outputs`. */
  readonly payload: Uint8Array
}

/** The claims of a node's token, and the Worker's own observations of the connection. */
export const Admission = AdmissionClaims.extend({
  observation: PlaceObservation,
  /** Round trip of the transport below the WebSocket, if known. */
  transportRttMs: z.number().min(0).nullable(),
  /** The reporter that this node's reports count for. All nodes of one network or customer are one reporter. */
  reporter: z.string().min(1).max(64),
  /** The group that shares its seats: one address block or one customer. */
  block: z.string().min(1).max(64),
})
export type Admission = z.infer<typeof Admission>

/** Internal header that holds an {@link Admission} as JSON. The Worker strips it from every outside request. */
export const ADMISSION_HEADER = 'x-littoral-internal-admission'

/** A live node as the residency decision sees it. Only Worker and Hub exchange it. */
export interface NodeStanding {
  readonly nodeId: NodeId
  readonly kind: (typeof NODE_KINDS)[number]
  readonly facts: NodeFacts
  readonly quarantine: string | null
}

/** A hub's own counts since it started. */
export interface HubGauges {
  /** Ended jobs by `answered` or error code. */
  readonly jobs: Readonly<Record<string, number>>
  readonly activeJobs: number
  readonly waitingJobs: number
  readonly outboxReceipts: number
}

export const HubStatus = z.strictObject({
  hub: z.string(),
  peerId: NodeId,
  hubKey: z.strictObject({ x: Bytes32, y: Bytes32 }),
  nodes: z.array(NetworkNode),
})
export type HubStatus = z.infer<typeof HubStatus>
