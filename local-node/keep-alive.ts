/** One kind of engine process for as long as the node lives: replaced when it dies, ended when its job will not end. */
import { setTimeout } from 'node:timers/promises'
import type { RunOptions } from '#engine/engine.ts'
import { errorCode } from '#shared/errors.ts'
import type { Answer, Work } from '#shared/job.ts'
import type { Log } from '#shared/log.ts'
import type { EngineProcess } from './engine-process.ts'

/** Starts of a new engine process before its kind of work is given up. */
const RESTARTS = 5
const RESTART_PAUSE_MS = 1_000

export interface KeptAlive {
  /** The process that takes work now; rejects when none could be started. */
  current(): Promise<EngineProcess>
  run(work: Work, payload: Uint8Array, options: RunOptions): Promise<Answer>
  close(): Promise<void>
}

/** Replaces a process that has ended, and ends one whose job ran over its time: its device hangs. */
export function keepAlive(
  first: EngineProcess,
  restart: () => Promise<EngineProcess>,
  log: Log,
): KeptAlive {
  let current = Promise.resolve(first)
  let isClosed = false
  const watch = (engine: EngineProcess) =>
    void engine.ended.then(() => {
      if (isClosed) return
      log.warn('engine.restarted', { detail: 'An engine process ended; a new one takes over.' })
      current = restartWithin(restart, log)
      current.then(watch, (error: unknown) =>
        log.error('engine.restart-failed', { cause: String(error) }),
      )
    })
  watch(first)
  return {
    current: () => current,
    async run(work, payload, options) {
      const engine = await current
      try {
        return await engine.run(work, payload, options)
      } catch (error) {
        // Whoever comes next must not reach a process whose device is gone.
        if (errorCode(error) === 'node_timeout' || errorCode(error) === 'node_lost') {
          engine.kill()
          await engine.ended
        }
        throw error
      }
    },
    async close() {
      isClosed = true
      const engine = await current.catch(() => undefined)
      engine?.kill()
      await engine?.ended
    },
  }
}

/** A driver that has just lost its process may refuse the next one for a moment. @throws {AppError} of the last try */
async function restartWithin(
  restart: () => Promise<EngineProcess>,
  log: Log,
): Promise<EngineProcess> {
  for (let attempt = 1; attempt < RESTARTS; attempt++) {
    try {
      return await restart()
    } catch (error) {
      log.warn('engine.restart-refused', { attempt, cause: String(error) })
      await setTimeout(RESTART_PAUSE_MS * attempt)
    }
  }
  return restart()
}
