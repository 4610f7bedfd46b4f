/** One kernel in its process or worker at a time: what ends that, a compiler that never comes back among it, ends no other job. */
import type { Answer, Work } from '#shared/job/job.ts'
import { LIMITS } from '#shared/base/limits.ts'
import type { RunOptions } from '../engine.ts'
import { createJobQueue } from '../queue.ts'
import type { RemoteRunOptions } from './remote-jobs.ts'

type Run<O> = (work: Work, payload: Uint8Array, options: O) => Promise<Answer>

/**
 * The others wait here, and go to the next process or worker when this one ends.
 * @param next the one that takes work now, or takes over; the job ends as it rejects
 */
export function takeTurns(
  next: () => Promise<{ readonly run: Run<RemoteRunOptions> }>,
): Run<RunOptions> {
  const queue = createJobQueue(LIMITS.nodeJobsInFlight)
  return async (work, payload, options) => {
    const answered = Promise.withResolvers<Answer>()
    answered.promise.catch(() => {})
    const turn = async () => {
      const engine = await next()
      const freed = Promise.withResolvers<void>()
      const onFree = () => freed.resolve()
      engine.run(work, payload, { ...options, onFree }).then(answered.resolve, answered.reject)
      // A caller who left, or reads slowly, does not hold the others up; a device that still works does.
      await freed.promise
    }
    await queue.run(turn, options.signal)
    return answered.promise
  }
}
