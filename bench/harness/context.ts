/** What every bench is given. */
import type { Log } from '#shared/base/log.ts'
import type { LiveStack } from './live-stack.ts'

/** Flags of the kernel bench. */
export interface KernelOptions {
  /** Sides of the square operands. */
  readonly sizes: readonly number[]
  /** A real adapter instead of the software one. */
  readonly gpu: boolean
  /** Of the adapter in FP32, for the share that is reached. */
  readonly peakTflops: number | undefined
}

export interface BenchContext {
  /** For files of this run; removed after it. */
  readonly dir: string
  readonly log: Log
  /** Fewer repetitions: to see that it runs, not for figures. */
  readonly quick: boolean
  readonly stack: LiveStack
  readonly kernels: KernelOptions
  /** Of the memory bench. */
  readonly jobs: number
}
