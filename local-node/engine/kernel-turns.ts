/** One kernel in its process at a time: what ends the process, a compiler that never comes back among it, ends no other job. */
import type { RunOptions } from '#engine/engine.ts'
import { createJobQueue } from '#engine/queue.ts'
import type { Answer, Work } from '#shared/job/job.ts'
import { LIMITS } from '#shared/base/limits.ts'
import type { KeptAlive } from './keep-alive.ts'

type RunKernel = (work: Work, payload: Uint8Array, options: RunOptions) => Promise<Answer>

/** The others wait here, and go to the next process when this one ends. */
export function takeTurns(kernels: Pick<KeptAlive, 'run'>): RunKernel {
  const queue = createJobQueue(LIMITS.nodeJobsInFlight)
  return async (work, payload, options) => {
    const answered = Promise.withResolvers<Answer>()
    answered.promise.catch(() => {})
    const turn = async () => {
      const freed = Promise.withResolvers<void>()
      kernels
        .run(work, payload, { ...options, onFree: () => freed.resolve() })
        .then(answered.resolve, answered.reject)
      // A caller who left, or reads slowly, does not hold the others up; a device that still works does.
      await freed.promise
    }
    await queue.run(turn, options.signal)
    return answered.promise
  }
}
