/** What the Worker says to a Batch by RPC, and what it answers: plain JSON and bytes both ways. */
import { z } from 'zod'
import { ERRORS, type ErrorCode } from '#shared/base/errors.ts'
import { Bytes32, type Address, type TenantId } from '#shared/base/ids.ts'
import { TensorHeader, type Datatype, type KernelWork, type Work } from '#shared/job/job.ts'
import { MicroUsd } from '#shared/receipt/money.ts'
import { JURISDICTIONS, type CompiledPolicy, type Jurisdiction } from '#shared/law/policy.ts'

/** `batch_<32 hex>`; a batch whose records are pinned says where: `batch_eu--<32 hex>`. */
export const BatchId = z
  .string()
  .regex(/^batch_(?:(?:eu|us|fedramp-high|fedramp)--)?[0-9a-f]{32}$/)
  .brand('BatchId')
export type BatchId = z.infer<typeof BatchId>

export const BATCH_STATES = ['running', 'reducing', 'done', 'failed', 'cancelled'] as const
export type BatchState = (typeof BATCH_STATES)[number]

export const ITEM_STATES = ['queued', 'running', 'done', 'failed', 'cancelled'] as const
export type ItemState = (typeof ITEM_STATES)[number]

/** Datatypes that the built-in reductions read. */
export const REDUCED_DATATYPES = [
  'UINT8',
  'INT8',
  'UINT16',
  'INT16',
  'UINT32',
  'INT32',
  'FP32',
  'FP64',
] as const satisfies readonly Datatype[]
export type ReducedDatatype = (typeof REDUCED_DATATYPES)[number]

export const REDUCTIONS = ['sum', 'mean', 'max', 'min', 'concat'] as const
export type Reduction = (typeof REDUCTIONS)[number]

/** Where a stretch of a job's payload comes from. */
export interface PayloadPart {
  readonly source: 'shared' | 'own'
  readonly sizeBytes: number
}

/** A kernel that is run many times with the same shared bytes and others of each item's own. */
export interface KernelTemplate {
  readonly work: KernelWork
  /** The filled buffers, in order. */
  readonly parts: readonly PayloadPart[]
  readonly units: number
}

/** Item i gets u32 `[i, start + i·step, min(start + (i+1)·step, end), seed]` as its own bytes. */
export interface Range {
  readonly start: number
  readonly end: number
  readonly step: number
  readonly seed: number
}

export type ReducePlan =
  | {
      readonly kind: 'named'
      readonly op: Reduction
      /** Name of the output: `binding:2`, or a tensor's. */
      readonly output: string
      readonly datatype: ReducedDatatype
    }
  | {
      readonly kind: 'kernel'
      readonly output: string
      /** Its own bytes are all items' outputs in order of their index. */
      readonly template: KernelTemplate
    }

export interface Webhook {
  readonly url: string
  /** `whsec_` and base64: https://www.standardwebhooks.com */
  readonly secret: string
}

/** A batch as it was taken; none of it changes afterwards. What its policy says since is asked of the tenant (`authority.ts`). */
export interface BatchSpec {
  readonly id: BatchId
  readonly tenant: TenantId
  /** Of the key that sent it: once it is revoked, the batch ends. */
  readonly keyId: string
  readonly consumer: Address | null
  readonly requestId: string
  readonly traceparent: string | null
  readonly policy: CompiledPolicy
  readonly allowed: Bytes32
  /** Bit of the country where the request entered. */
  readonly ingress: number
  readonly items: number
  readonly priceMicroUsd: number
  /** Null: each item brings its own work. */
  readonly template: KernelTemplate | null
  readonly range: Range | null
  readonly reduce: ReducePlan | null
  readonly concurrency: number
  readonly deadlineMs: number
  readonly retentionMs: number
  readonly webhook: Webhook | null
}

/** An item's own share of the input. */
export interface ItemInput {
  /** Null: the template's. */
  readonly work: Work | null
  readonly units: number
  readonly bytes: Uint8Array
}

export interface BatchInput {
  /** Bytes that every item gets. */
  readonly shared: Uint8Array
  /** Bytes that only the reducing kernel gets. */
  readonly reduce: Uint8Array
  /** One an item, or none for a range. */
  readonly items: readonly ItemInput[]
}

const Fault = z.strictObject({
  code: z.enum(Object.keys(ERRORS) as [ErrorCode, ...ErrorCode[]]),
  detail: z.string(),
  /** Of a policy: the rule that refused, and what would have satisfied it. */
  rule: z.string().optional(),
  needed: z.string().optional(),
})
export type Fault = z.infer<typeof Fault>

export const BatchStatus = z.strictObject({
  id: BatchId,
  object: z.literal('batch'),
  status: z.enum(BATCH_STATES),
  /** `id@version` when the batch was taken. */
  policy: z.string(),
  createdAtMs: z.int(),
  deadlineAtMs: z.int(),
  finishedAtMs: z.int().nullable(),
  /** When everything about it is erased; null while it runs. */
  eraseAtMs: z.int().nullable(),
  counts: z.strictObject({
    total: z.int(),
    queued: z.int(),
    running: z.int(),
    done: z.int(),
    failed: z.int(),
    cancelled: z.int(),
  }),
  nodes: z.array(z.strictObject({ nodeId: z.string(), country: z.string(), items: z.int() })),
  countries: z.record(z.string(), z.int()),
  /** Of the recorded answers, the reduction's included. */
  units: z.int(),
  amountMicroUsd: MicroUsd,
  /** Dispatches beyond the first of each item. An item is one job and is paid once, whichever of them is. */
  redone: z.int(),
  etaMs: z.int().nullable(),
  /** Why nothing is being dispatched just now. */
  waiting: Fault.nullable(),
  reduced: z
    .strictObject({ receipt: Bytes32.nullable(), outputs: z.array(TensorHeader) })
    .nullable(),
  /** Of the first failed items. */
  failures: z.array(Fault.extend({ index: z.int() })),
  webhook: z
    .strictObject({
      url: z.string(),
      state: z.enum(['waiting', 'delivered', 'given_up']),
      attempts: z.int(),
    })
    .nullable(),
})
export type BatchStatus = z.infer<typeof BatchStatus>

/** An item without its bytes. */
export const BatchItem = z.strictObject({
  index: z.int(),
  status: z.enum(ITEM_STATES),
  receipt: Bytes32.nullable(),
  node: z.string().nullable(),
  region: z.string().nullable(),
  evidence: z.string().nullable(),
  units: z.int(),
  computeMs: z.number().nullable(),
  dispatches: z.int(),
  error: Fault.nullable(),
})
export type BatchItem = z.infer<typeof BatchItem>

export interface ItemResult {
  readonly item: BatchItem
  readonly outputs: readonly TensorHeader[]
  readonly payload: Uint8Array
}

export interface ResultPage {
  readonly results: readonly ItemResult[]
  /** Index after which the next page begins; null after the last finished item of a finished batch. */
  readonly next: number | null
}

export interface ResultQuery {
  readonly after: number
  readonly limit: number
}

/** The Batch's RPC methods. `ingress` is the country where the caller's TLS ended: a policy's rule of entry holds here too. */
export interface BatchApi {
  /** Again with the same id changes nothing. */
  create(spec: BatchSpec, input: BatchInput): Promise<BatchStatus>
  /** @throws {AppError} not_found */
  status(ingress: number): Promise<BatchStatus>
  results(query: ResultQuery, ingress: number): Promise<ResultPage>
  /** One item's, or the reduction's. @throws {AppError} not_found while there is none */
  result(which: number | 'reduced', ingress: number): Promise<ItemResult>
  cancel(): Promise<BatchStatus>
  /** Erases the batch: its results have been fetched. @throws {AppError} invalid_request while it runs */
  acknowledge(): Promise<BatchStatus>
  /** `/events?after=N&ingress=N`: server-sent events. */
  fetch(request: Request): Promise<Response>
}

/** Where a batch's records are kept, read off its id. */
export function batchJurisdiction(id: BatchId): Jurisdiction {
  return JURISDICTIONS.find((place) => id.startsWith(`batch_${place}--`)) ?? 'any'
}

/** One of a tenant's batches. */
export interface BatchEntry {
  readonly id: BatchId
  readonly createdAtMs: number
}

/** The room that a tenant puts aside for a batch. */
export interface BatchPlace {
  readonly eraseAtMs: number
  /** What it may come to. */
  readonly sizeBytes: number
}
