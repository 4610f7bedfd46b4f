/** Littoral's library of kernels: finding one, resolving a job's shapes and price, and checks for Worker, hub and node. */
import { AppError, faultsError, type FieldFault } from '#shared/base/errors.ts'
import type { Bytes32 } from '#shared/base/ids.ts'
import {
  DATATYPE_BYTES,
  elementsOf,
  sliceTensors,
  totalBytes,
  type LibraryWork,
  type TensorHeader,
} from '#shared/job/job.ts'
import { findNonFinite, type Tensors } from '#shared/job/tensor.ts'
import { KERNEL_DIGESTS } from './digests.ts'
import { KERNEL_SPECS, type KernelSpec, type ParamSpec, type ParamValue } from './specs.ts'
import { LIMITS } from '#shared/base/limits.ts'

export const LIBRARY_PRICE_MICRO_USD = 1

/** Operations per unit. Each kernel's `operations` counts them from shapes and parameters alone. */
export const OPERATIONS_PER_UNIT = 1 << 24

/** A job's names, shapes and parameters, without its bytes. */
export interface LibraryJob {
  readonly kernel: string
  readonly inputs: readonly Omit<TensorHeader, 'sizeBytes'>[]
  readonly params: Readonly<Record<string, ParamValue>>
}

/** A job whose shapes and parameters fit its kernel. */
export interface ResolvedJob {
  readonly spec: KernelSpec
  readonly digest: Bytes32
  /** In the kernel's order, whatever their order in the request. */
  readonly inputs: readonly TensorHeader[]
  /** Every parameter of the kernel, with defaults filled in. */
  readonly params: Readonly<Record<string, ParamValue>>
  readonly outputs: readonly TensorHeader[]
  readonly operations: number
  readonly units: number
}

/** @throws {AppError} not_found, naming the kernels that exist */
export function findKernel(name: string): KernelSpec {
  const spec = KERNEL_SPECS.find((candidate) => candidate.name === name)
  if (spec !== undefined) return spec
  const known = KERNEL_SPECS.map((candidate) => candidate.name).join(', ')
  throw new AppError('not_found', `There is no kernel "${name}". There are: ${known}.`, {
    meta: { errors: [{ pointer: '/kernel', detail: 'no such kernel' }] },
  })
}

export function kernelDigest(name: string): Bytes32 {
  const digest = KERNEL_DIGESTS[name]
  if (digest === undefined) throw new Error(`no digest of ${name}: run npm run generate`)
  return digest
}

/**
 * Checks names, types, shapes and parameters against the kernel and computes its outputs.
 * @throws {AppError} not_found, invalid_request with a pointer to each fault, too_large
 */
export function resolveJob(job: LibraryJob): ResolvedJob {
  const resolved = resolveShapes(job)
  checkBounds(resolved, job)
  return resolved
}

/** Like {@link resolveJob}, but without the bounds of a job: for kernels on a device of one's own. */
export function resolveShapes(job: LibraryJob): ResolvedJob {
  const spec = findKernel(job.kernel)
  const faults: FieldFault[] = []
  const inputs = orderInputs(spec, job.inputs, faults)
  const params = resolveParams(spec, job.params, faults)
  if (faults.length > 0) throw faultsError(faults)
  const given = (name: string) => job.inputs.findIndex((input) => input.name === name)
  const { outputs, operations } = spec.resolve({
    inputs,
    params,
    fault(at, detail): never {
      const pointer = 'input' in at ? `/inputs/${given(at.input)}/shape` : `/params/${at.param}`
      throw faultsError([{ pointer, detail }])
    },
  })
  const resolved = { inputs: inputs.map(sized), outputs: outputs.map(sized) }
  const units = Math.max(1, Math.ceil(operations / OPERATIONS_PER_UNIT))
  return { spec, digest: kernelDigest(spec.name), params, operations, units, ...resolved }
}

/**
 * Checks a job with its bytes: the Worker before it sends the job, the node before it runs it.
 * @throws {AppError} as {@link resolveJob}; invalid_request for bytes that do not fit the headers, NaN or infinity
 */
export function checkLibraryInputs(work: LibraryWork, payload: Uint8Array): ResolvedJob {
  const resolved = resolveJob(work)
  const isOrdered = resolved.inputs.every(({ name }, i) => name === work.inputs[i]?.name)
  if (!isOrdered) {
    const names = resolved.inputs.map(({ name }) => name).join(', ')
    throw faultsError([{ pointer: '/inputs', detail: `must be in order: ${names}` }])
  }
  checkBytes(resolved.inputs, { headers: work.inputs, payload, root: 'inputs' })
  return resolved
}

/** Checks an answer: the node its own, the hub the node's. @throws {AppError} invalid_request */
export function checkLibraryOutputs(
  work: LibraryWork,
  headers: readonly TensorHeader[],
  payload: Uint8Array,
): void {
  checkBytes(resolveJob(work).outputs, { headers, payload, root: 'outputs' })
}

/** Size of the answer, known before the job runs. */
export function libraryOutputBytes(work: LibraryWork): number {
  return totalBytes(resolveJob(work).outputs)
}

/** A kernel's specification as data, for `GET /v1/kernels`. */
export function describeKernel(spec: KernelSpec) {
  const { name, title, inputs, params, outputs, limits, tolerance, operations } = spec
  return {
    kernel: name,
    digest: kernelDigest(name),
    title,
    inputs,
    params,
    outputs,
    limits,
    tolerance,
    price: {
      microUsdPerUnit: LIBRARY_PRICE_MICRO_USD,
      operationsPerUnit: OPERATIONS_PER_UNIT,
      operations,
    },
  }
}

function orderInputs(
  spec: KernelSpec,
  given: LibraryJob['inputs'],
  faults: FieldFault[],
): Omit<TensorHeader, 'sizeBytes'>[] {
  for (const [index, { name }] of given.entries()) {
    const isKnown = spec.inputs.some((input) => input.name === name)
    const isFirst = given.findIndex((input) => input.name === name) === index
    if (!isKnown) faults.push({ pointer: `/inputs/${index}/name`, detail: `no input "${name}"` })
    else if (!isFirst) faults.push({ pointer: `/inputs/${index}/name`, detail: 'came twice' })
  }
  return spec.inputs.flatMap(({ name, datatypes, rank }) => {
    const index = given.findIndex((input) => input.name === name)
    const tensor = given[index]
    if (tensor === undefined) {
      faults.push({ pointer: '/inputs', detail: `input "${name}" is missing` })
      return []
    }
    const { datatype, shape } = tensor
    const fault = (member: string, detail: string) =>
      faults.push({ pointer: `/inputs/${index}/${member}`, detail })
    if (!datatypes.includes(datatype))
      fault('datatype', `is ${datatype}, expected ${datatypes.join(' or ')}`)
    if (shape.length < rank[0] || shape.length > rank[1])
      fault('shape', `has ${shape.length} axes, expected ${rank[0]} to ${rank[1]}`)
    if (shape.includes(0)) fault('shape', `is [${shape.join(',')}], which holds no elements`)
    return [{ name, datatype, shape }]
  })
}

function resolveParams(
  spec: KernelSpec,
  given: LibraryJob['params'],
  faults: FieldFault[],
): Record<string, ParamValue> {
  for (const name of Object.keys(given))
    if (!Object.hasOwn(spec.params, name)) {
      const known = Object.keys(spec.params).join(', ') || 'none'
      faults.push({ pointer: `/params/${name}`, detail: `is unknown; there are: ${known}` })
    }
  const resolved: Record<string, ParamValue> = {}
  for (const [name, param] of Object.entries(spec.params)) {
    const value = Object.hasOwn(given, name) ? given[name] : param.default
    const fault = value === undefined ? 'is missing' : paramFault(param, value)
    if (fault !== undefined) faults.push({ pointer: `/params/${name}`, detail: fault })
    else if (value !== undefined) resolved[name] = value
  }
  return resolved
}

function paramFault(param: ParamSpec, value: ParamValue): string | undefined {
  const { type, choices, min, max } = param
  if (type === 'boolean') return typeof value === 'boolean' ? undefined : 'must be true or false'
  if (type === 'choice')
    return choices?.includes(String(value)) ? undefined : `must be one of ${choices?.join(', ')}`
  const isNumber =
    typeof value === 'number' &&
    (type === 'integer' ? Number.isInteger(value) : Number.isFinite(Math.fround(value)))
  if (!isNumber) return type === 'integer' ? 'must be an integer' : 'must be a finite 32-bit float'
  if (value < (min ?? -Infinity)) return `is ${value}, at least ${min}`
  return value > (max ?? Infinity) ? `is ${value}, at most ${max}` : undefined
}

function checkBounds({ inputs, outputs, operations }: ResolvedJob, given: LibraryJob): void {
  for (const { name, sizeBytes } of inputs) {
    if (sizeBytes <= LIMITS.kernelBufferBytes) continue
    const pointer = `/inputs/${given.inputs.findIndex((input) => input.name === name)}/shape`
    const detail = `is ${sizeBytes} bytes, at most ${LIMITS.kernelBufferBytes}`
    throw faultsError([{ pointer, detail }], 'too_large')
  }
  const bounds = [
    ['bytes of output', totalBytes(outputs), LIMITS.jobOutputBytes],
    ['bytes of input and output', totalBytes([...inputs, ...outputs]), LIMITS.kernelTotalBytes],
    ['operations', operations, LIMITS.libraryOperations],
  ] as const
  for (const [what, value, most] of bounds)
    if (value > most)
      throw faultsError(
        [{ pointer: '/inputs', detail: `come to ${value} ${what}, at most ${most}` }],
        'too_large',
      )
}

function checkBytes(
  expected: readonly TensorHeader[],
  { headers, payload, root }: Tensors & { readonly root: 'inputs' | 'outputs' },
): void {
  const total = totalBytes(expected)
  const isSame =
    headers.length === expected.length &&
    payload.length === total &&
    expected.every((tensor, i) => {
      const { name, datatype, shape, sizeBytes } = headers[i] ?? { ...tensor, name: '' }
      return (
        name === tensor.name &&
        datatype === tensor.datatype &&
        sizeBytes === tensor.sizeBytes &&
        shape.join() === tensor.shape.join()
      )
    })
  if (!isSame) {
    const tensors = expected.map(
      ({ name, datatype, shape }) => `${name} ${datatype} [${shape.join(',')}]`,
    )
    const detail = `must be ${tensors.join(', ')}, ${total} bytes; ${payload.length} bytes came`
    throw faultsError([{ pointer: `/${root}`, detail }])
  }
  const slices = sliceTensors(headers, payload)
  for (const [index, { datatype }] of headers.entries()) {
    const at = findNonFinite(datatype, slices[index] ?? new Uint8Array())
    if (at !== -1)
      throw faultsError([{ pointer: `/${root}/${index}/data/${at}`, detail: 'is NaN or infinite' }])
  }
}

function sized(tensor: Omit<TensorHeader, 'sizeBytes'>): TensorHeader {
  const sizeBytes = elementsOf(tensor.shape) * DATATYPE_BYTES[tensor.datatype]
  return { ...tensor, shape: [...tensor.shape], sizeBytes }
}
