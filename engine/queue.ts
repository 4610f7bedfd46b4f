/** Runs one job at a time on a device. The queue is bounded, and callers may leave it. */
import { AppError } from '#shared/base/errors.ts'
import { cancelled, untilAborted } from '#shared/base/deadline.ts'

export type JobQueue = ReturnType<typeof createJobQueue>

export function createJobQueue(maxWaiting: number) {
  let tail: Promise<unknown> = Promise.resolve()
  let waiting = 0
  return {
    async idle() {
      await tail
    },
    /**
     * Runs `job` when every earlier one has settled. A caller may leave at any time. The device is free only when the
     * job has settled, since a GPU cannot be stopped.
     * @throws {AppError} no_capacity when the queue is full, cancelled when the caller leaves
     */
    async run<T>(job: () => Promise<T>, signal: AbortSignal): Promise<T> {
      if (waiting >= maxWaiting)
        throw new AppError('no_capacity', `${maxWaiting} jobs already wait for this device.`)
      waiting += 1
      const turn = tail
      const done = Promise.withResolvers<void>()
      tail = turn.then(() => done.promise)
      try {
        await untilAborted(turn, signal, cancelled)
      } catch (error) {
        done.resolve()
        throw error
      } finally {
        waiting -= 1
      }
      const work = job()
      work.then(
        () => done.resolve(),
        () => done.resolve(),
      )
      return untilAborted(work, signal, cancelled)
    },
  }
}
