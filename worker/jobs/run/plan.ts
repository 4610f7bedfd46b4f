/** Makes an item's job from the batch's stored input. */
import { concatBytes } from 'viem'
import { AppError } from '#shared/base/errors.ts'
import { payloadBytes, sliceTensors, type TensorHeader, type Work } from '#shared/job/job.ts'
import type { BatchDatabase } from '#worker/jobs/store/database.ts'
import { REDUCE_INDEX, type ItemStore, type NextItem } from '#worker/jobs/store/items.ts'
import type { BatchSpec, KernelTemplate, Range } from '#worker/protocols/batch.ts'
import { answerBytes } from '#worker/protocols/hub.ts'

export interface PlannedJob {
  readonly work: Work
  readonly payload: Uint8Array
  readonly units: number
}

/** The bytes that a job holds while under way: its payload and, where known, its answer. */
export function heldBytes(work: Work): number {
  return payloadBytes(work) + (answerBytes(work) ?? 0)
}

/** @throws {AppError} internal when the stored input is not whole */
export function planJob(
  item: NextItem,
  from: {
    readonly spec: BatchSpec
    readonly database: BatchDatabase
    readonly items: ItemStore
  },
): PlannedJob {
  const { spec, database, items } = from
  const { blobs } = database
  if (item.index === REDUCE_INDEX) {
    if (spec.reduce?.kind !== 'kernel') throw new AppError('internal', 'Nothing reduces on a node.')
    const { template, output } = spec.reduce
    const own = concatBytes([...eachOutput(items, spec.items, output)])
    return fill(template, { shared: () => blobs.get('reduce'), own })
  }
  if (spec.template === null) {
    if (item.work === null) throw new AppError('internal', `Item ${item.index} has no work.`)
    return { work: item.work, payload: blobs.get(`in:${item.index}`), units: item.units }
  }
  const own =
    spec.range === null ? blobs.get(`in:${item.index}`) : rangeBytes(spec.range, item.index)
  return fill(spec.template, { shared: () => blobs.get('shared'), own })
}

export function countRange({ start, end, step }: Omit<Range, 'seed'>): number {
  return Math.ceil((end - start) / step)
}

/** u32 little-endian `[index, from, to, seed]`. */
export function rangeBytes({ start, end, step, seed }: Range, index: number): Uint8Array {
  const from = start + index * step
  const view = new DataView(new ArrayBuffer(16))
  for (const [i, value] of [index, from, Math.min(from + step, end), seed].entries()) {
    view.setUint32(i * 4, value, true)
  }
  return new Uint8Array(view.buffer)
}

function findOutput(
  outputs: readonly TensorHeader[],
  payload: Uint8Array,
  name: string,
): Uint8Array {
  const at = outputs.findIndex((header) => header.name === name)
  const bytes = sliceTensors(outputs, payload)[at]
  if (bytes === undefined) {
    throw new AppError('invalid_request', `The items have no output "${name}" to reduce.`)
  }
  return bytes
}

/** Yields every item's output by index. @throws {AppError} internal for a missing one */
export function* eachOutput(items: ItemStore, count: number, name: string): Generator<Uint8Array> {
  for (let index = 0; index < count; index += 1) {
    const result = items.result(index)
    if (result === undefined) throw new AppError('internal', `Item ${index} has no result.`)
    yield findOutput(result.outputs, result.payload, name)
  }
}

function fill(
  { work, parts, units }: KernelTemplate,
  from: { readonly shared: () => Uint8Array; readonly own: Uint8Array },
): PlannedJob {
  const sources = { shared: from.shared(), own: from.own }
  const offsets = { shared: 0, own: 0 }
  const payload = concatBytes(
    parts.map(({ source, sizeBytes }) => {
      const at = offsets[source]
      offsets[source] += sizeBytes
      return sources[source].subarray(at, at + sizeBytes)
    }),
  )
  if (payload.length !== payloadBytes(work)) {
    throw new AppError(
      'invalid_request',
      `The kernel's filled buffers take ${payloadBytes(work)} bytes, ${payload.length} were given.`,
    )
  }
  return { work, payload, units }
}
