/** Calls and answers between the Worker and a Batch by RPC: plain JSON and bytes both ways. */
import { z } from 'zod'
import { ERRORS, type ErrorCode } from '#shared/base/errors.ts'
import { Bytes32 } from '#shared/base/ids.ts'
import { TensorHeader, type Datatype, type KernelWork, type Work } from '#shared/job/job.ts'
import { MicroUsd } from '#shared/receipt/money.ts'
import { JURISDICTIONS, type Jurisdiction } from '#shared/law/policy.ts'
import { MIB } from '#shared/base/limits.ts'
import type { SessionGrant } from './hub.ts'

/** Inputs of one batch. */
export const JOBS_INPUT_BYTES = 24 * MIB
/** Results of one batch. */
export const JOBS_OUTPUT_BYTES = 128 * MIB
export const JOBS_DEADLINE_MS = 86_400_000
/** Event streams of one batch. */
export const JOBS_LISTENERS = 16

/** `batch_<32 hex>`, or `batch_eu--<32 hex>` when its records are pinned to a jurisdiction. */
export const BatchId = z
  .string()
  .regex(/^batch_(?:(?:eu|us|fedramp-high|fedramp)--)?[0-9a-f]{32}$/)
  .brand('BatchId')
export type BatchId = z.infer<typeof BatchId>

export const BATCH_STATES = ['running', 'reducing', 'done', 'failed', 'cancelled'] as const
export type BatchState = (typeof BATCH_STATES)[number]

export const ITEM_STATES = ['queued', 'running', 'done', 'failed', 'cancelled'] as const
export type ItemState = (typeof ITEM_STATES)[number]

/** Datatypes that the built-in reductions can read. */
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

/** The source of one stretch of a job's payload. */
export interface PayloadPart {
  readonly source: 'shared' | 'own'
  readonly sizeBytes: number
}

/** A kernel that runs once per item, with bytes shared by all items and bytes of the item's own. */
export interface KernelTemplate {
  readonly work: KernelWork
  /** The filled buffers, in order. */
  readonly parts: readonly PayloadPart[]
  readonly units: number
}

/** Item i's own bytes are u32 `[i, start + i·step, min(start + (i+1)·step, end), seed]`. */
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
      /** `binding:2`, or the name of a tensor. */
      readonly output: string
      readonly datatype: ReducedDatatype
    }
  | {
      readonly kind: 'kernel'
      readonly output: string
      /** Its own bytes are all items' outputs, by index. */
      readonly template: KernelTemplate
    }

export interface Webhook {
  readonly url: string
  /** `whsec_` and base64: https://www.standardwebhooks.com */
  readonly secret: string
}

/**
 * A batch as submitted; it never changes. The tenant tells later changes of its policy (`authority.ts`). When the key
 * that submitted the batch is revoked, the batch ends.
 */
export interface BatchSpec extends Readonly<SessionGrant> {
  readonly id: BatchId
  readonly items: number
  readonly priceMicroUsd: number
  /** Null when each item brings its own work. */
  readonly template: KernelTemplate | null
  readonly range: Range | null
  readonly reduce: ReducePlan | null
  readonly concurrency: number
  readonly deadlineMs: number
  readonly retentionMs: number
  readonly webhook: Webhook | null
}

export interface ItemInput {
  /** Null: the template's work. */
  readonly work: Work | null
  readonly units: number
  readonly bytes: Uint8Array
}

export interface BatchInput {
  /** Bytes that every item gets. */
  readonly shared: Uint8Array
  /** Bytes that only the reducing kernel gets. */
  readonly reduce: Uint8Array
  /** One per item; empty for a range. */
  readonly items: readonly ItemInput[]
}

const Fault = z.strictObject({
  code: z.enum(Object.keys(ERRORS) as [ErrorCode, ...ErrorCode[]]),
  detail: z.string(),
  /** The policy rule that refused, and what would have satisfied it. */
  rule: z.string().optional(),
  needed: z.string().optional(),
})
export type Fault = z.infer<typeof Fault>

export const BatchStatus = z.strictObject({
  id: BatchId,
  object: z.literal('batch'),
  status: z.enum(BATCH_STATES),
  /** `id@version` at submission. */
  policy: z.string(),
  createdAtMs: z.int(),
  deadlineAtMs: z.int(),
  finishedAtMs: z.int().nullable(),
  /** When everything about the batch is erased; null while it runs. */
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
  /** Units of the recorded answers, the reduction included. */
  units: z.int(),
  amountMicroUsd: MicroUsd,
  /** Dispatches beyond the first of each item. An item is one job and is paid once. */
  redone: z.int(),
  etaMs: z.int().nullable(),
  /** Why nothing is dispatched at present. */
  waiting: Fault.nullable(),
  reduced: z
    .strictObject({ receipt: Bytes32.nullable(), outputs: z.array(TensorHeader) })
    .nullable(),
  /** The first failed items. */
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
  /** `after` of the next page; null at the end of a finished batch. */
  readonly next: number | null
}

export interface ResultQuery {
  readonly after: number
  readonly limit: number
}

/** The Batch's RPC methods. `ingress` is the bit of the country where the caller's TLS ended: the policy's ingress rule holds here too. */
export interface BatchApi {
  /** Repeating it with the same id changes nothing. */
  create(spec: BatchSpec, input: BatchInput): Promise<BatchStatus>
  /** @throws {AppError} not_found */
  status(ingress: number): Promise<BatchStatus>
  results(query: ResultQuery, ingress: number): Promise<ResultPage>
  /** The result of one item or of the reduction. @throws {AppError} not_found while there is none */
  result(which: number | 'reduced', ingress: number): Promise<ItemResult>
  cancel(): Promise<BatchStatus>
  /** Erases the batch once its results are fetched. @throws {AppError} invalid_request while it runs */
  acknowledge(): Promise<BatchStatus>
  /** `/events?after=N&ingress=N`: server-sent events. */
  fetch(request: Request): Promise<Response>
}

/** The jurisdiction that keeps a batch's records, as its id says. */
export function batchJurisdiction(id: BatchId): Jurisdiction {
  return JURISDICTIONS.find((place) => id.startsWith(`batch_${place}--`)) ?? 'any'
}

export interface BatchEntry {
  readonly id: BatchId
  readonly createdAtMs: number
}

/** The space that a tenant reserves for a batch. */
export interface BatchReservation {
  readonly eraseAtMs: number
  /** The most that the batch may keep. */
  readonly sizeBytes: number
}

/** A tenant's list of its batches; their contents are in objects of their own. */
export interface TenantBatches {
  /** @throws {AppError} rate_limited when the tenant keeps as many batches or bytes as it may */
  add(id: BatchId, reserved: BatchReservation): void
  /** Reduces the reserved space to what an ended batch keeps. */
  resize(id: BatchId, sizeBytes: number): void
  remove(id: BatchId): void
  /** Newest first. */
  list(): BatchEntry[]
}
