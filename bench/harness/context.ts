/** The context that every bench gets. */
import type { Log } from '#shared/base/log.ts'
import type { LiveStack } from './live-stack.ts'

/** Flags of the kernel bench. */
export interface KernelOptions {
  /** Sides of the square operands. */
  readonly sizes: readonly number[]
  /** A real adapter instead of the software one. */
  readonly gpu: boolean
  /** Peak of the adapter in FP32. */
  readonly peakTflops: number | undefined
}

export interface BenchContext {
  /** Holds the files of this run; removed after it. */
  readonly dir: string
  readonly log: Log
  /** Fewer repetitions: shows that the bench runs, and gives no usable figures. */
  readonly quick: boolean
  readonly stack: LiveStack
  readonly kernels: KernelOptions
  /** Number of jobs of the memory benches. */
  readonly jobs: number
}
