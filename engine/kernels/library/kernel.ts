/** The interface of a library kernel: WGSL texts and a plan of passes for a job. */
import type { ResolvedJob } from '#shared/kernels/kernels.ts'

/** One dispatch. Binding 0 is the uniform block; the buffers follow in order. */
export interface Pass {
  readonly source: string
  /** Names of inputs and outputs, or of the plan's scratch and tables. */
  readonly buffers: readonly string[]
  /** 32-bit words of the uniform block; a float goes in by {@link floatWord}. */
  readonly words: readonly number[]
  readonly workgroups: readonly [number, number, number]
}

/** Constants that a kernel reads, computed once a device. `key` is unique among all kernels. */
export interface Table {
  readonly key: string
  readonly make: () => Float32Array<ArrayBuffer>
}

export interface Plan {
  /** Name → bytes, not initialised. */
  readonly scratch?: Readonly<Record<string, number>>
  readonly tables?: Readonly<Record<string, Table>>
  readonly passes: readonly Pass[]
}

export interface LibraryKernel {
  readonly name: string
  /** Every WGSL text that the kernel can run. Its digest covers them. */
  readonly sources: Readonly<Record<string, string>>
  /**
   * Variants that compute the same, by kind of adapter. An emulated GPU gains nothing from workgroup memory: a
   * barrier costs more than it saves, and takes seconds to compile.
   */
  readonly variants: { readonly software: readonly string[]; readonly hardware: readonly string[] }
  /** A small job that compares variants on a device. Required where there are several. */
  readonly trial?: (isSoftware: boolean) => readonly { name: string; shape: number[] }[]
  plan(job: ResolvedJob, variant: string): Plan
}

/** Workgroup size of kernels with one linear range of threads. */
export const THREADS = 64

/** Sizes a dispatch of at least `threads` threads, in two axes when one is too short. */
export function threadGroups(threads: number): [number, number, number] {
  const groups = Math.ceil(threads / THREADS)
  const x = Math.min(groups, 32_768)
  return [x, Math.ceil(groups / x), 1]
}

/** Start of an entry point that {@link threadGroups} dispatches: `i` numbers its threads. */
export const LINEAR_MAIN = `@compute @workgroup_size(${THREADS})
fn main(
  @builtin(global_invocation_id) id: vec3<u32>,
  @builtin(num_workgroups) groups: vec3<u32>,
) {
  let i = id.y * groups.x * ${THREADS}u + id.x;`

const word = new DataView(new ArrayBuffer(4))

export function floatWord(value: number): number {
  word.setFloat32(0, value)
  return word.getUint32(0)
}

/** Gives the shape of a tensor that is processed along its last axis. */
export function rowsOf(shape: readonly number[]): {
  readonly rows: number
  readonly length: number
} {
  const length = shape.at(-1) ?? 1
  return { rows: shape.slice(0, -1).reduce((product, size) => product * size, 1), length }
}
