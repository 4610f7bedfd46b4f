/** How long an observer outside an engine waits before it treats the engine as hung. */
import type { Work } from '#shared/job/job.ts'
import { LIMITS } from '#shared/base/limits.ts'

/** Longer than all limits inside the engine together. */
export const HANG_MS: Readonly<Record<Work['kind'], number>> = {
  // A kernel may run twice: again after the device has been measured anew.
  kernel: LIMITS.kernelCompileMs + 2 * LIMITS.kernelStarvedMs + 2_000,
  library: LIMITS.kernelCompileMs + LIMITS.libraryRunMs + 2_000,
  model: 60_000,
  text: 60_000,
}

/** Each provider may use its full time for one model. */
export const HANG_LOAD_MS = LIMITS.modelLoadMs * 2 + 5_000
