/** What the Worker and a Hub say to each other over `stub.fetch`: one request header, the payload, one outcome, the answer. */
import { z } from 'zod'
import { NetworkNode } from '#shared/api/network.ts'
import { Address, Bytes32, JobId, NodeId, TenantId } from '#shared/base/ids.ts'
import { Answer, Work } from '#shared/job/job.ts'
import { LIMITS } from '#shared/base/limits.ts'
import { MicroUsd } from '#shared/receipt/money.ts'
import type { NodeFacts } from '#shared/law/decide.ts'
import { PlaceObservation } from '#shared/place/evidence.ts'
import { CountryCode, type NODE_KINDS } from '#shared/node/node.ts'
import { CompiledPolicy, NetworkId, NODE_TRUSTS } from '#shared/law/policy.ts'
import { Place } from '#shared/receipt/receipt.ts'
import { ADMISSION_PURPOSES, Voucher } from '#worker/edge/admission.ts'

export const DispatchRequest = z.strictObject({
  requestId: z.string().max(128),
  jobId: JobId,
  /** Of the first ticket: higher where a job was dispatched before, so that job and attempt name one ticket. @default 1 */
  firstAttempt: z.int().min(1).optional(),
  tenant: TenantId,
  /** The on-chain account that pays; null while the tenant has named none (its receipts then wait). */
  consumer: Address.nullable(),
  policy: CompiledPolicy,
  /** The policy's compute set, narrowed by the request. */
  allowed: Bytes32,
  work: Work,
  /** Units and price by the manifest or the kernel's size; a node's own word is never the bill. */
  units: z.int().min(0),
  priceMicroUsd: z.int().min(0),
  timeoutMs: z.int().min(1).max(LIMITS.jobTimeoutMs),
  /** Whether the answer's bytes are wanted as they come; a lost node is then final after the first of them. */
  stream: z.boolean(),
  /** The only node that may take it: a session's, while that node lives. The policy applies to it all the same. */
  nodeId: NodeId.nullable(),
  /** Whether a model that no allowed node has loaded is refused rather than loaded: another hub may have it warm. */
  warmOnly: z.boolean().optional(),
  /** W3C trace context of the span that the node's work belongs to. */
  traceparent: z.string().max(64).nullable(),
})
export type DispatchRequest = z.infer<typeof DispatchRequest>

/** Who opened a session and what it may do; the Worker vouches for it when it forwards the WebSocket. */
export const SessionGrant = z.strictObject({
  requestId: z.string().max(128),
  tenant: TenantId,
  /** The key that opened it: once revoked, the session ends. */
  keyId: z.string().max(128),
  consumer: Address.nullable(),
  policy: CompiledPolicy,
  allowed: Bytes32,
  /** Country bit in which the connection entered. */
  ingress: z.int().min(0).max(255),
  traceparent: z.string().max(64).nullable(),
})
export type SessionGrant = z.infer<typeof SessionGrant>

/** Internal header with a {@link SessionGrant} as JSON. */
export const SESSION_HEADER = 'x-littoral-internal-session'

/** What is known of a streamed answer when its first byte goes out. */
export const DispatchHead = z.strictObject({ nodeId: NodeId, place: Place })
export type DispatchHead = z.infer<typeof DispatchHead>

/** Where the time of one job went, in milliseconds as the hub measured them. */
export const DispatchTiming = z.strictObject({
  /** From arrival at the hub until a node was chosen and had a free place. */
  queueMs: z.number(),
  /** Dispatch round trip less the node's own compute time. */
  networkMs: z.number(),
  computeMs: z.number(),
  /** Before the queue: how long the job waited for a node to load its model; absent when one had it. */
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
  /** Bytes of the outputs, in the order of `outcome.answer.outputs`. */
  readonly payload: Uint8Array
}

/** What the Worker vouches for when it forwards a node's WebSocket; trust and networks come from the admission token. */
export const Admission = z.strictObject({
  nodeId: NodeId,
  claim: CountryCode,
  trust: z.enum(NODE_TRUSTS),
  /** Consortia that the node is of, by the key that vouched for it. */
  networks: z.array(NetworkId).max(LIMITS.keyNetworks),
  /** The key by which trust and networks stand, and with which they end. */
  voucher: Voucher.nullable(),
  /** A node that another hub serves comes only to be measured. */
  purpose: z.enum(ADMISSION_PURPOSES),
  observation: PlaceObservation,
  /** Round trip below the WebSocket, from the node to the hub, as far as it is known. */
  transportRttMs: z.number().min(0).nullable(),
  /** Who reports when this node does. All nodes of one network, or of one customer, are one reporter. */
  reporter: z.string().min(1).max(64),
  /** Who shares seats with it: all behind one address block, or of one customer. */
  block: z.string().min(1).max(64),
  /** Names the admission, which is good for one socket, and until when it would be. */
  nonce: z.string().min(1).max(64),
  expiresAtMs: z.int(),
})
export type Admission = z.infer<typeof Admission>

/** Internal header with an {@link Admission} as JSON; the Worker strips it from everything that comes from outside. */
export const ADMISSION_HEADER = 'x-littoral-internal-admission'

/** Internal header of a WebSocket from another hub. */
export const PEER_HEADER = 'x-littoral-internal-peer'

/** A live node as the residency decision sees it; between Worker and Hub only. */
export interface NodeStanding {
  readonly nodeId: NodeId
  readonly kind: (typeof NODE_KINDS)[number]
  readonly facts: NodeFacts
  readonly quarantine: string | null
}

/** What a hub counts of itself, since it began. */
export interface HubGauges {
  /** Jobs that ended: `answered`, or the code of the error. */
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
