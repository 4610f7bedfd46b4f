/** Keeps one kind of engine process available: replaces it when it dies, and kills it when its job does not end. */
import { setTimeout as sleep } from 'node:timers/promises'
import { errorCode } from '#shared/base/errors.ts'
import type { Log } from '#shared/base/log.ts'
import type { EngineProcess } from './engine-process.ts'

/** Consecutive attempts to start a process. */
const STARTS = 5
const START_PAUSE_MS = 1_000
/** After that many failed attempts the next series waits this long; its kind of work is not offered meanwhile. */
const REST_MS = 60_000

export interface KeepAliveOptions {
  readonly restart: () => Promise<EngineProcess>
  /** Whether work waits for a replacement instead of being refused. */
  readonly keepsOffer?: boolean
  /** Called when `isLive` has changed. */
  readonly onChange: () => void
  readonly log: Log
}

export function keepAlive(
  first: EngineProcess,
  { restart, onChange, keepsOffer = false, log }: KeepAliveOptions,
) {
  let current = Promise.resolve(first)
  let isClosed = false
  let isLive = true
  let rest: NodeJS.Timeout | undefined
  const replace = async () => {
    const goDark = () => {
      if (!isLive) return
      isLive = false
      onChange()
    }
    if (!keepsOffer) goDark()
    log.warn('engine.restarted', { detail: 'An engine process ended; a new one takes over.' })
    current = startPatiently(restart, { log, onRefused: goDark })
    try {
      watch(await current)
    } catch (error) {
      log.error('engine.restart-failed', { cause: String(error), againInMs: REST_MS })
      if (!isClosed) rest = setTimeout(() => void replace(), REST_MS)
      return
    }
    if (isLive) return
    isLive = true
    onChange()
  }
  const watch = (engine: EngineProcess) =>
    void engine.ended.then(() => (isClosed ? undefined : replace()))
  watch(first)
  return {
    /** The process that takes work now; rejects when none could be started. */
    current: () => current,
    /** False while a process is being replaced, unless `keepsOffer` is set. */
    isLive: () => isLive,
    async run(...[work, payload, options]: Parameters<EngineProcess['run']>) {
      const engine = await current.catch((error: unknown) => {
        options.onFree?.()
        throw error
      })
      try {
        return await engine.run(work, payload, options)
      } catch (error) {
        // The next job must not reach a process whose device hangs or is lost.
        if (errorCode(error) === 'node_timeout' || errorCode(error) === 'node_lost') {
          engine.kill()
          await engine.ended
        }
        throw error
      }
    },
    async close() {
      isClosed = true
      clearTimeout(rest)
      const engine = await current.catch(() => undefined)
      engine?.kill()
      await engine?.ended
    },
  }
}

/**
 * Starts an engine process, and tries again when it dies before it is ready: a driver that has just lost a process may
 * refuse the next one for a moment.
 * @throws {AppError} the error of the last attempt
 */
export async function startPatiently(
  start: () => Promise<EngineProcess>,
  {
    log,
    starts = STARTS,
    onRefused = () => {},
  }: { readonly log: Log; readonly starts?: number; readonly onRefused?: () => void },
): Promise<EngineProcess> {
  for (let attempt = 1; attempt < starts; attempt++) {
    try {
      return await start()
    } catch (error) {
      onRefused()
      log.warn('engine.start-failed', { attempt, cause: String(error) })
      await sleep(START_PAUSE_MS * attempt)
    }
  }
  return start()
}
