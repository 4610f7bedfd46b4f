/** What a kernel of the library is to the runner: WGSL texts, a plan of passes for one job, and a reference to be judged by. */
import type { ResolvedJob } from '#shared/kernels/kernels.ts'

/** One dispatch. Binding 0 is the uniform block, when the pass has one; the buffers follow in order. */
export interface Pass {
  /** Key of the kernel's `sources`. */
  readonly source: string
  /** Inputs and outputs by their names, scratch and tables by those of the plan. */
  readonly buffers: readonly string[]
  /** 32-bit words of the uniform block; a float goes in by {@link floatWord}. */
  readonly words: readonly number[]
  readonly workgroups: readonly [number, number, number]
}

/** Constant numbers that a kernel reads, computed once a device: `key` names them among all kernels. */
export interface Table {
  readonly key: string
  readonly make: () => Float32Array<ArrayBuffer>
}

export interface Plan {
  /** Name → bytes; they hold anything at first. */
  readonly scratch: Readonly<Record<string, number>>
  readonly tables: Readonly<Record<string, Table>>
  readonly passes: readonly Pass[]
}

export type NumberArray = Float64Array | Float32Array | Int32Array | Uint32Array

export interface Reference {
  readonly outputs: readonly NumberArray[]
  /** What an error of each output is a part of; the specification says it in words. */
  readonly scale: number
}

export interface LibraryKernel {
  readonly name: string
  /** All WGSL that the kernel can ever run: its digest stands for these texts. */
  readonly sources: Readonly<Record<string, string>>
  /**
   * Ways to compute the same, by kind of adapter. A CPU that plays a GPU has no use for workgroup memory: there a
   * barrier costs more than what it saves, and seconds in the compiler.
   */
  readonly variants: { readonly software: readonly string[]; readonly hardware: readonly string[] }
  /** A small job by which variants are compared on a device; needed where there are several. */
  readonly trial?: (isSoftware: boolean) => readonly { name: string; shape: number[] }[]
  plan(job: ResolvedJob, variant: string): Plan
  /** The same in double precision on the CPU, by another way where there is one. */
  reference(job: ResolvedJob, inputs: readonly NumberArray[]): Reference
}

/** Threads of a workgroup where a kernel has one long row of them. */
export const THREADS = 64

/** Dispatch of at least `threads` threads, in two axes when one is not enough. */
export function threadGroups(threads: number): [number, number, number] {
  const groups = Math.ceil(threads / THREADS)
  const x = Math.min(groups, 32_768)
  return [x, Math.ceil(groups / x), 1]
}

/** Start of an entry point that {@link threadGroups} dispatches: `i` counts its threads. */
export const LINEAR_MAIN = `@compute @workgroup_size(${THREADS})
fn main(
  @builtin(global_invocation_id) id: vec3<u32>,
  @builtin(num_workgroups) groups: vec3<u32>,
) {
  let i = id.y * groups.x * ${THREADS}u + id.x;`

const word = new DataView(new ArrayBuffer(4))

/** A float's bits, for a uniform block's words. */
export function floatWord(value: number): number {
  word.setFloat32(0, value)
  return word.getUint32(0)
}

/** Rows and length of a tensor that is worked on along its last axis. */
export function rowsOf(shape: readonly number[]): {
  readonly rows: number
  readonly length: number
} {
  const length = shape.at(-1) ?? 1
  return { rows: shape.slice(0, -1).reduce((product, size) => product * size, 1), length }
}

export function sumOfAbsolutes(values: ArrayLike<number>, from = 0, to = values.length): number {
  let sum = 0
  for (let i = from; i < to; i += 1) sum += Math.abs(values[i] ?? 0)
  return sum
}
