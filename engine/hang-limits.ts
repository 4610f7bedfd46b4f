/** How long whoever watches an engine from outside waits before it counts as hung. */
import type { Work } from '#shared/job/job.ts'
import { LIMITS } from '#shared/base/limits.ts'

/** Longer than every limit inside an engine together: one that is still silent then hangs. */
export const HANG_MS: Readonly<Record<Work['kind'], number>> = {
  // It may be run again once the device has been measured again.
  kernel: LIMITS.kernelCompileMs + 2 * LIMITS.kernelStarvedMs + 2_000,
  library: LIMITS.kernelCompileMs + LIMITS.libraryRunMs + 2_000,
  model: 60_000,
  text: 60_000,
}

/** Every provider may take its time over one model. */
export const HANG_LOAD_MS = LIMITS.modelLoadMs * 2 + 5_000
