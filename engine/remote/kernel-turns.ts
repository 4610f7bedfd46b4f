/** Sends one kernel at a time to its process or worker, so that a hang there ends no other job. */
import type { Answer, Work } from '#shared/job/job.ts'
import { LIMITS } from '#shared/base/limits.ts'
import type { RunOptions } from '../engine.ts'
import { createJobQueue } from '../queue.ts'
import type { RemoteRunOptions } from './remote-jobs.ts'

type Run<O> = (work: Work, payload: Uint8Array, options: O) => Promise<Answer>

/**
 * Waiting jobs go to the next process or worker when this one ends.
 * @param next the process or worker that takes work now. The job fails when it rejects
 */
export function takeTurns(
  next: () => Promise<{ readonly run: Run<RemoteRunOptions> }>,
): Run<RunOptions> {
  const queue = createJobQueue(LIMITS.nodeJobsInFlight)
  return async (work, payload, { signal, emit }) => {
    const answered = Promise.withResolvers<Answer>()
    answered.promise.catch(() => {})
    const turn = async () => {
      const engine = await next()
      const freed = Promise.withResolvers<void>()
      const onFree = () => freed.resolve()
      engine.run(work, payload, { signal, emit, onFree }).then(answered.resolve, answered.reject)
      // A caller that left or reads slowly does not delay the others; a device that still works does.
      await freed.promise
    }
    await queue.run(turn, signal)
    return answered.promise
  }
}
