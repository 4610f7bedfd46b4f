/** Requests and replies of `/v1/jobs`. */
import { z } from 'zod'
import { LIMITS } from '#shared/base/limits.ts'
import {
  BatchId,
  BatchItem,
  BatchStatus,
  REDUCED_DATATYPES,
  REDUCTIONS,
  JOBS_DEADLINE_MS,
} from '#worker/protocols/batch.ts'
import { Binding, ComputeRequest, EmptyBuffer, FilledBuffer } from '#worker/api/compute/compute.ts'
import { LibraryRequest } from '#worker/api/compute/library.ts'
import { InferTensor } from '#worker/api/oip/oip.ts'
import { ResidencyFields } from '#worker/body/residency.ts'
import { WEBHOOK_URL_BYTES } from '#worker/jobs/delivery/webhook-url.ts'

/** Items of one batch. */
export const JOBS_ITEMS = 10_000
/** Items of one batch that run at once. */
const JOBS_CONCURRENCY = 64
const JOBS_RETENTION_MINUTES = 10_080

const Kernel = ComputeRequest.shape.kernel
const Output = z.union([Binding, z.string().min(1).max(128)]).optional()
const U32 = z.int().min(0).max(0xffff_ffff)

/** A buffer with different bytes for each item, from `inputs[i].buffers`. */
const ItemBuffer = EmptyBuffer.extend({ perItem: z.literal(true) })

const Buffers = z
  .array(z.union([FilledBuffer, EmptyBuffer, ItemBuffer]))
  .max(LIMITS.kernelBuffers)
  .default([])

/** One item: bytes of its buffers, or tensors of the model or library kernel. */
const ItemInputs = z.strictObject({
  buffers: z
    .array(z.strictObject({ binding: Binding, data: z.string() }))
    .max(LIMITS.kernelBuffers)
    .optional(),
  inputs: z.array(InferTensor).min(1).max(16).optional(),
})
export type ItemInputs = z.infer<typeof ItemInputs>

/** Item i covers [start + i·step, start + (i+1)·step), cut off at `end`; buffer `binding` holds u32 [i, from, to, seed]. */
const RangeInput = z.strictObject({
  start: U32.default(0),
  end: U32,
  step: U32.min(1).default(1),
  binding: Binding,
  seed: U32.default(0),
})

const NamedReduce = z.strictObject({
  op: z.enum(REDUCTIONS),
  /** Which of the items' outputs; optional if there is only one. */
  output: Output,
  datatype: z.enum(REDUCED_DATATYPES),
})

const KernelReduce = z.strictObject({
  kernel: Kernel,
  output: Output,
  /** The buffer that receives all items' outputs in order. */
  binding: Binding,
  /** The other buffers. */
  buffers: z.array(z.union([FilledBuffer, EmptyBuffer])).max(LIMITS.kernelBuffers - 1),
})

export const JobsRequest = z.strictObject({
  /** Exactly one of `kernel` (a WGSL text, or a kernel of the library by name) and `model`. */
  kernel: z.union([Kernel, z.string().min(1).max(64)]).optional(),
  model: z.string().min(1).max(128).optional(),
  buffers: Buffers,
  /** Parameters of a library kernel, shared by all items. */
  params: LibraryRequest.shape.params,
  /** Exactly one of `inputs` and `range`. */
  inputs: z.array(ItemInputs).min(1).max(JOBS_ITEMS).optional(),
  range: RangeInput.optional(),
  reduce: z.union([NamedReduce, KernelReduce]).optional(),
  concurrency: z.int().min(1).max(JOBS_CONCURRENCY).default(16),
  deadlineMs: z.int().min(1_000).max(JOBS_DEADLINE_MS).default(3_600_000),
  retentionMinutes: z.int().min(1).max(JOBS_RETENTION_MINUTES).default(1_440),
  webhook: z
    .strictObject({
      url: z.string().max(WEBHOOK_URL_BYTES),
      /** `whsec_` and base64 of 24 to 64 bytes; generated and returned when absent. */
      secret: z.string().max(128).optional(),
    })
    .optional(),
  ...ResidencyFields,
})
export type JobsRequest = z.infer<typeof JobsRequest>

/** With status 202. */
export const CreatedBatchReply = BatchStatus.extend({ webhookSecret: z.string().optional() })

export const BatchReply = BatchStatus

export const BatchesReply = z.object({
  object: z.literal('list'),
  data: z.array(BatchStatus),
  /** Value of `after` for the next page; null at the end. */
  next: BatchId.nullable(),
})

const OutputReply = z.object({
  name: z.string(),
  datatype: z.string(),
  shape: z.array(z.int()),
  data: z.base64(),
})

export const ResultReply = BatchItem.extend({ outputs: z.array(OutputReply) })

export const ResultsReply = z.object({
  object: z.literal('list'),
  data: z.array(ResultReply),
  /** Value of `after` for the next page; null when no more will come. */
  next: z.int().nullable(),
})
