/** Jobs of the kernel library with seeded inputs, and the distance of an answer from the CPU's. */
import { invariant } from '#shared/base/errors.ts'
import {
  sliceTensors,
  type Datatype,
  type LibraryWork,
  type TensorHeader,
} from '#shared/job/job.ts'
import { resolveJob, type ResolvedJob } from '#shared/kernels/kernels.ts'
import type { ParamValue } from '#shared/kernels/specs.ts'
import type { Job } from './engine-jobs.ts'
import { REFERENCES, type NumberArray } from './library-reference.ts'
import { createRandom } from '#test/support/random.ts'

export interface LibraryCase {
  readonly kernel: string
  readonly inputs: readonly { name: string; datatype?: Datatype; shape: number[] }[]
  readonly params?: Record<string, ParamValue>
  /** Numbers of all inputs in order. @default seeded ones between −1 and 1, integers of all sizes */
  readonly values?: readonly number[]
  readonly seed?: number
}

export interface LibraryJob extends Job<LibraryWork> {
  readonly resolved: ResolvedJob
  readonly inputs: readonly NumberArray[]
}

export function libraryJob({
  kernel,
  inputs,
  params = {},
  values,
  seed = 1,
}: LibraryCase): LibraryJob {
  const named = inputs.map((input) => ({ datatype: 'FP32' as const, ...input }))
  const resolved = resolveJob({ kernel, inputs: named, params })
  const source = createRandom(seed)
  const random = () => source.below(2 ** 32) / 2 ** 32
  let taken = 0
  const parts = resolved.inputs.map(({ datatype, shape }) => {
    const count = shape.reduce((product, size) => product * size, 1)
    const next = () => values?.[taken++] ?? draw(datatype, random)
    return encode(datatype, Array.from({ length: count }, next))
  })
  const payload = new Uint8Array(Buffer.concat(parts))
  return {
    work: {
      kind: 'library',
      kernel,
      digest: resolved.digest,
      inputs: [...resolved.inputs],
      params: { ...resolved.params },
    },
    payload,
    resolved,
    inputs: decodeAll(resolved.inputs, payload),
  }
}

/** Largest error of an answer, divided by the kernel's tolerance: at most 1 for a right answer. */
export function errorOf(job: LibraryJob, bytes: Uint8Array): number {
  const reference = REFERENCES[job.work.kernel]
  invariant(reference, `no reference of ${job.work.kernel}`)
  const { outputs, scale } = reference(job.resolved, job.inputs)
  const got = decodeAll(job.resolved.outputs, bytes)
  const isHalf = job.resolved.outputs[0]?.datatype === 'FP16'
  const allowed = scale * (isHalf ? 1e-3 : job.resolved.spec.tolerance.value)
  let worst = 0
  for (const [i, expected] of outputs.entries())
    for (const [at, value] of expected.entries()) {
      const error = Math.abs(value - (got[i]?.[at] ?? Number.NaN))
      if (error === 0) continue
      worst = Math.max(worst, allowed === 0 || Number.isNaN(error) ? Infinity : error / allowed)
    }
  return worst
}

export function decodeAll(headers: readonly TensorHeader[], payload: Uint8Array): NumberArray[] {
  const slices = sliceTensors(headers, payload)
  return headers.map(({ datatype }, i) => decode(datatype, slices[i]?.slice() ?? new Uint8Array()))
}

function decode(datatype: Datatype, { buffer }: Uint8Array<ArrayBuffer>): NumberArray {
  if (datatype === 'INT32') return new Int32Array(buffer)
  if (datatype === 'UINT32') return new Uint32Array(buffer)
  return datatype === 'FP16'
    ? Float32Array.from(new Float16Array(buffer))
    : new Float32Array(buffer)
}

function encode(datatype: Datatype, values: readonly number[]): Uint8Array {
  const arrays = { INT32: Int32Array, UINT32: Uint32Array, FP16: Float16Array, FP32: Float32Array }
  const { buffer } = new arrays[datatype as keyof typeof arrays](values)
  return new Uint8Array(buffer)
}

function draw(datatype: Datatype, random: () => number): number {
  if (datatype === 'INT32') return Math.floor((random() - 0.5) * 2 ** 32)
  return datatype === 'UINT32' ? Math.floor(random() * 2 ** 32) : random() * 2 - 1
}
