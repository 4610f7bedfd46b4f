/** The time that an observer outside an engine waits before it treats the engine as hung. */
import type { Work } from '#shared/job/job.ts'
import { LIMITS } from '#shared/base/limits.ts'
import { KERNEL_STARVED_MS } from '#engine/kernels/device-watch.ts'

/** Time limit of a library kernel, which may be slow on a software adapter. */
export const LIBRARY_RUN_MS = 20_000

/** Longer than all limits inside the engine together. */
export const HANG_MS: Readonly<Record<Work['kind'], number>> = {
  // A kernel may run twice: again after the device has been measured anew.
  kernel: LIMITS.kernelCompileMs + 2 * KERNEL_STARVED_MS + 2_000,
  library: LIMITS.kernelCompileMs + LIBRARY_RUN_MS + 2_000,
  model: 60_000,
  text: 60_000,
}

/** Each provider may use its full time for one model. */
export const HANG_LOAD_MS = LIMITS.modelLoadMs * 2 + 5_000
