/** Decodes a batch request into items and their work. */
import { concatBytes } from 'viem'
import { z } from 'zod'
import { AppError, type FieldFault } from '#shared/base/errors.ts'
import type { Datatype, KernelBuffer, KernelWork } from '#shared/job/job.ts'
import { LIBRARY_PRICE_MICRO_USD } from '#shared/kernels/kernels.ts'
import { LIMITS } from '#shared/base/limits.ts'
import type { ModelManifest } from '#shared/job/model.ts'
import { KERNEL_PRICE_MICRO_USD, kernelUnits } from '#shared/receipt/pricing.ts'
import { countRange } from '#worker/jobs/run/plan.ts'
import {
  type BatchInput,
  type BatchSpec,
  type ItemInput,
  type KernelTemplate,
  type PayloadPart,
  type Range,
  type ReducePlan,
  JOBS_INPUT_BYTES,
  JOBS_OUTPUT_BYTES,
} from '#worker/protocols/batch.ts'
import { decodeBase64 } from '#shared/base/base64.ts'
import { decodeCompute, type ComputeRequest } from '#worker/api/compute/compute.ts'
import { invalidAt, invalidRequest, parseBody, tooLarge } from '#worker/body/faults.ts'
import { type JobsRequest, JOBS_ITEMS } from './jobs.ts'
import { decodeLibrary, LibraryRequest } from '#worker/api/compute/library.ts'
import { decodeInfer, priceModel } from '#worker/api/oip/oip.ts'

export type DecodedJobs = Pick<
  BatchSpec,
  'items' | 'priceMicroUsd' | 'template' | 'range' | 'reduce'
> & {
  readonly input: BatchInput
  /** Units of all items and the reduction, when nothing is repeated. */
  readonly units: number
}

/** @throws {AppError} invalid_request with a pointer to each fault; too_large */
export async function decodeJobs(
  request: JobsRequest,
  findModel: (id: string) => ModelManifest,
): Promise<DecodedJobs> {
  const isOne = (a: unknown, b: unknown) => (a === undefined) !== (b === undefined)
  if (!isOne(request.kernel, request.model)) {
    throw invalidAt('/kernel', 'exactly one of "kernel" and "model" is needed')
  }
  if (!isOne(request.inputs, request.range)) {
    throw invalidAt('/inputs', 'exactly one of "inputs" and "range" is needed')
  }
  if (typeof request.kernel !== 'string' && Object.keys(request.params).length > 0)
    throw invalidAt('/params', 'are for kernels of the library')
  const decoded = await decodeItems(request, findModel)
  const { items } = decoded.input
  const inputBytes =
    decoded.input.shared.length + items.reduce((sum, item) => sum + item.bytes.length, 0)
  if (inputBytes > JOBS_INPUT_BYTES) {
    throw tooLarge(
      '/inputs',
      `are ${inputBytes} bytes together, at most ${JOBS_INPUT_BYTES} are accepted`,
    )
  }
  const { reduce, bytes } = await decodeReduce(request, decoded)
  const itemUnits = decoded.template?.units ?? 0
  const mapped =
    items.length === 0
      ? itemUnits * decoded.items
      : items.reduce((sum, { units }) => sum + units, 0)
  return {
    ...decoded,
    reduce,
    units: mapped + (reduce?.kind === 'kernel' ? reduce.template.units : 0),
    input: { ...decoded.input, reduce: bytes },
  }
}

type Decoded = Omit<DecodedJobs, 'reduce' | 'units'> & {
  readonly outputs: readonly ItemOutput[]
}

/** Known facts about an output that all items have. */
interface ItemOutput {
  readonly name: string
  /** Undefined for a model. */
  readonly sizeBytes?: number
  /** Undefined for a WGSL kernel. */
  readonly datatypes?: readonly Datatype[]
}

async function decodeItems(
  request: JobsRequest,
  findModel: (id: string) => ModelManifest,
): Promise<Decoded> {
  const { model, kernel } = request
  if (model !== undefined) return decodeModelItems(request, findModel(model))
  return typeof kernel === 'string'
    ? decodeLibraryItems(request, kernel)
    : await decodeKernelItems(request)
}

async function decodeKernelItems(request: JobsRequest): Promise<Decoded> {
  const { kernel, range } = request
  if (typeof kernel !== 'object') throw new AppError('internal', 'No kernel to decode.')
  const given: ComputeRequest['buffers'] = request.buffers.map((buffer) => {
    if (!('perItem' in buffer)) return buffer
    const { perItem: _, ...empty } = buffer
    return empty
  })
  if (range !== undefined) {
    given.push({ binding: range.binding, access: 'read', sizeBytes: RANGE_BYTES, return: false })
  }
  const { work, payload } = await decodeCompute({ kernel, buffers: given })
  const own = new Set(request.buffers.flatMap((b) => ('perItem' in b ? [b.binding] : [])))
  if (range !== undefined) own.add(range.binding)
  const template = makeTemplate(work, own, range?.binding)
  const units = template.units
  const parts = decodeBuffers(request.inputs ?? [], template.work.buffers, own)
  const items = parts.map((bytes) => ({ work: null, units, bytes }))
  const count = range === undefined ? items.length : countItems(range)
  const outputs = work.buffers
    .filter((buffer) => buffer.return)
    .map(({ binding, sizeBytes }) => ({ name: `binding:${binding}`, sizeBytes }))
  checkOutputTotal(outputs, count)
  return {
    items: count,
    priceMicroUsd: KERNEL_PRICE_MICRO_USD,
    template,
    range: range ?? null,
    outputs,
    input: { shared: payload, reduce: new Uint8Array(), items },
  }
}

/** u32x4. */
const RANGE_BYTES = 16

function countItems(range: Omit<Range, 'seed'>): number {
  const { start, end } = range
  if (end <= start)
    throw invalidAt('/range/end', `is ${end}, must be greater than the start, ${start}`)
  const count = countRange(range)
  if (count <= JOBS_ITEMS) return count
  throw tooLarge('/range', `makes ${count} items, at most ${JOBS_ITEMS} are accepted`)
}

/** Marks per-item buffers as filled; the decoder leaves them empty. */
function makeTemplate(
  decoded: KernelWork,
  own: ReadonlySet<number>,
  always?: number,
): KernelTemplate {
  const buffers = decoded.buffers.map((buffer) =>
    own.has(buffer.binding) ? { ...buffer, filled: true } : buffer,
  )
  if (always !== undefined && buffers.filter(({ binding }) => binding === always).length !== 1) {
    throw invalidAt('/range/binding', `${always} is taken by another buffer`)
  }
  const parts = buffers
    .filter((buffer) => buffer.filled)
    .map(({ binding, sizeBytes }): PayloadPart => ({
      source: own.has(binding) ? 'own' : 'shared',
      sizeBytes,
    }))
  const work = { ...decoded, buffers }
  return { work, parts, units: kernelUnits(work) }
}

/** Decodes each item's bytes, in the order of the kernel's buffers. */
function decodeBuffers(
  inputs: NonNullable<JobsRequest['inputs']>,
  buffers: readonly KernelBuffer[],
  own: ReadonlySet<number>,
): Uint8Array[] {
  const wanted = buffers.filter(({ binding }) => own.has(binding))
  const faults: FieldFault[] = []
  const decoded = inputs.map((input, index) => {
    const given = input.buffers ?? []
    const at = `/inputs/${index}`
    if (input.inputs !== undefined)
      faults.push({ pointer: `${at}/inputs`, detail: 'is for models' })
    for (const [i, { binding }] of given.entries()) {
      const isFirst = given.findIndex((other) => other.binding === binding) === i
      if (own.has(binding) && isFirst) continue
      const detail = isFirst ? `${binding} is not "perItem"` : `${binding} appears twice`
      faults.push({ pointer: `${at}/buffers/${i}/binding`, detail })
    }
    return concatBytes(
      wanted.map(({ binding, sizeBytes }) => {
        const i = given.findIndex((buffer) => buffer.binding === binding)
        const bytes = decodeBase64(given[i]?.data ?? '')
        if (bytes?.length === sizeBytes) return bytes
        const pointer = i === -1 ? `${at}/buffers` : `${at}/buffers/${i}/data`
        const length = bytes === undefined ? 'is not base64' : `is ${bytes.length} bytes`
        const what = i === -1 ? `binding ${binding} is missing` : length
        faults.push({ pointer, detail: `${what}; ${sizeBytes} bytes are needed` })
        return new Uint8Array()
      }),
    )
  })
  if (faults.length > 0) throw invalidRequest(faults)
  return decoded
}

/** Each item is separate work, because shapes may differ between items. */
function decodeLibraryItems(request: JobsRequest, kernel: string): Decoded {
  const { params } = request
  const outputs = new Map<string, Set<Datatype>>()
  let outputBytes = 0
  const items = eachTensors(request).map(({ tensors, at }): ItemInput => {
    const decode = () =>
      decodeLibrary({
        kernel,
        params,
        inputs: parseBody(LibraryTensors, { inputs: tensors }).inputs,
      })
    const { work, payload, resolved } = below(at, decode)
    for (const { name, datatype, sizeBytes } of resolved.outputs) {
      outputs.set(name, (outputs.get(name) ?? new Set()).add(datatype))
      outputBytes += sizeBytes
    }
    return { work, units: resolved.units, bytes: payload }
  })
  checkOutputTotal([{ sizeBytes: outputBytes }], 1)
  const known = [...outputs].map(([name, datatypes]) => ({ name, datatypes: [...datatypes] }))
  return separateItems(items, known, LIBRARY_PRICE_MICRO_USD)
}

const LibraryTensors = z.object({ inputs: LibraryRequest.shape.inputs })

/** Each item's tensors, for a model or a library kernel. */
function eachTensors({ range, buffers, inputs = [] }: JobsRequest) {
  if (range !== undefined) throw invalidAt('/range', 'is for WGSL kernels; this needs "inputs"')
  if (buffers.length > 0) throw invalidAt('/buffers', 'are for WGSL kernels; this has "inputs"')
  return inputs.map((input, index) => {
    const at = `/inputs/${index}`
    if (input.inputs === undefined) throw invalidAt(at, 'needs "inputs", its tensors')
    if (input.buffers !== undefined) throw invalidAt(`${at}/buffers`, 'is for WGSL kernels')
    return { tensors: input.inputs, at }
  })
}

function decodeModelItems(request: JobsRequest, manifest: ModelManifest): Decoded {
  if (manifest.outputs.length === 0) {
    throw invalidAt('/model', `${manifest.id} generates text, which batches do not support`)
  }
  const items = eachTensors(request).map(({ tensors, at }): ItemInput => {
    const batch = below(at, () => decodeInfer(manifest, { inputs: tensors }))
    const { work, units, payload } = priceModel(manifest, batch)
    return { work, units, bytes: payload }
  })
  const outputs = manifest.outputs.map(({ name, datatype }) => ({ name, datatypes: [datatype] }))
  return separateItems(items, outputs, manifest.priceMicroUsd)
}

/** Items that share neither work nor bytes. */
function separateItems(
  items: readonly ItemInput[],
  outputs: readonly ItemOutput[],
  priceMicroUsd: number,
): Decoded {
  const input = { shared: new Uint8Array(), reduce: new Uint8Array(), items }
  return { items: items.length, priceMicroUsd, template: null, range: null, outputs, input }
}

async function decodeReduce(
  { reduce }: JobsRequest,
  { outputs, items }: Pick<Decoded, 'outputs' | 'items'>,
): Promise<{ reduce: ReducePlan | null; bytes: Uint8Array }> {
  if (reduce === undefined) return { reduce: null, bytes: new Uint8Array() }
  const name = typeof reduce.output === 'number' ? `binding:${reduce.output}` : reduce.output
  const source = name === undefined && outputs.length === 1 ? outputs[0] : undefined
  const output = outputs.find((candidate) => candidate.name === name) ?? source
  if (output === undefined) {
    const known = outputs.map((candidate) => candidate.name).join(', ')
    throw invalidAt('/reduce/output', `must be one of the items' outputs: ${known}`)
  }
  if ('op' in reduce) {
    const { op, datatype } = reduce
    const other = output.datatypes?.find((known) => known !== datatype)
    if (other !== undefined)
      throw invalidAt('/reduce/datatype', `is ${datatype}, "${output.name}" is ${other}`)
    const plan = { kind: 'named' as const, op, datatype, output: output.name }
    return { reduce: plan, bytes: new Uint8Array() }
  }
  if (output.sizeBytes === undefined) {
    throw invalidAt(
      '/reduce',
      'only the outputs of a WGSL kernel, whose size is known, can be reduced by another',
    )
  }
  const sizeBytes = output.sizeBytes * items
  if (sizeBytes > LIMITS.kernelBufferBytes) {
    throw tooLarge(
      '/reduce',
      `would get ${sizeBytes} bytes, at most ${LIMITS.kernelBufferBytes} fit a buffer`,
    )
  }
  const { binding, kernel, buffers } = reduce
  const gathered = { binding, access: 'read' as const, sizeBytes, return: false }
  const asked = { kernel, buffers: [...buffers, gathered] }
  const { work, payload } = await decodeCompute(asked).catch((error: unknown) => {
    throw rooted('/reduce', error)
  })
  const template = makeTemplate(work, new Set([binding]))
  return { reduce: { kind: 'kernel', output: output.name, template }, bytes: payload }
}

function checkOutputTotal(
  outputs: readonly { readonly sizeBytes?: number }[],
  count: number,
): void {
  const each = outputs.reduce((sum, { sizeBytes }) => sum + (sizeBytes ?? 0), 0)
  if (each * count <= JOBS_OUTPUT_BYTES) return
  throw tooLarge(
    '/buffers',
    `would return ${each * count} bytes from ${count} items, at most ${JOBS_OUTPUT_BYTES}`,
  )
}

/** Prefixes the pointers of a part's faults. */
function below<T>(root: string, decode: () => T): T {
  try {
    return decode()
  } catch (error) {
    throw rooted(root, error)
  }
}

function rooted(root: string, error: unknown): unknown {
  if (!(error instanceof AppError) || error.meta.errors === undefined) return error
  const errors = error.meta.errors.map((each) => ({ ...each, pointer: `${root}${each.pointer}` }))
  const detail = errors.map((each) => `${each.pointer}: ${each.detail}`).join('; ')
  return new AppError(error.code, detail, { meta: { ...error.meta, errors } })
}
