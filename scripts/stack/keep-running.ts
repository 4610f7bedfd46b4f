/** Keeps a child process running: reports its end, restarts it after growing pauses, and gives up after several attempts. */
import type { ChildProcess } from 'node:child_process'
import { setTimeout as sleep } from 'node:timers/promises'
import { AppError } from '#shared/base/errors.ts'
import { wordsOf } from '#scripts/base/arguments.ts'

const FIRST_PAUSE_MS = 500
/** Restarts in a row, with pauses from half a second to eight seconds. */
const ATTEMPTS = 5
/** Ctrl-C ends the children too; after this pause the parent knows that it was asked to stop. */
const GRACE_MS = 100
/** After this time a child counts as well started, and its next end starts a new row of attempts. */
const STEADY_MS = 60_000
/** Length of the message about a failed start. */
const LINE_CHARACTERS = 300

export interface Child {
  /** Resolves when the process has ended: `code 1`, `signal SIGKILL`. */
  readonly ended: Promise<string>
  close(): Promise<void>
}

export interface Keeper {
  readonly say: (text: string) => void
  /** Called once when the last attempt has failed. */
  readonly giveUp: (error: AppError) => void
  readonly wait?: (ms: number) => Promise<unknown>
  readonly nowMs?: () => number
}

export interface Kept<T extends Child> {
  /** The child that runs, or ran last. */
  current(): T
  /** Ends the child by `end` and starts it again at once. */
  replace(end: (child: T) => Promise<void>): Promise<void>
  /** Ends it for good. */
  close(): Promise<void>
}

/**
 * Starts a child, and restarts it whenever it ends on its own.
 * @param start gets the child that ended, to reuse its port
 * @param keeper without one the child is not restarted
 * @param then appended to the message about a restart
 * @throws what the first start throws
 */
export async function keepRunning<T extends Child>(
  name: string,
  start: (before?: T) => Promise<T>,
  keeper?: Keeper,
  then = '',
): Promise<Kept<T>> {
  const nowMs = keeper?.nowMs ?? (() => Date.now())
  const wait = keeper?.wait ?? sleep
  let child = await start()
  let startedMs = nowMs()
  /** Counts requested ends, so that the watch of an older child does nothing. */
  let order = 0
  let attempts = 0
  const watch = (watched: T) => {
    const own = order
    if (keeper !== undefined)
      void watched.ended.then((how) => (own === order ? revive(how, keeper) : undefined))
  }
  const revive = async (how: string, { say, giveUp }: Keeper): Promise<void> => {
    const own = order
    await wait(GRACE_MS)
    if (own !== order) return
    if (nowMs() - startedMs >= STEADY_MS) attempts = 0
    let last = how
    while (attempts < ATTEMPTS) {
      const pauseMs = FIRST_PAUSE_MS * 2 ** attempts
      attempts += 1
      say(
        `${name} ended: ${last}. Starting it again in ${pauseMs / 1000} s (${attempts} of ${ATTEMPTS})${then}`,
      )
      await wait(pauseMs)
      if (own !== order) return
      try {
        const started = await start(child)
        if (own !== order) return await started.close()
        child = started
        startedMs = nowMs()
        say(`${name} runs again`)
        return watch(child)
      } catch (error) {
        last = onOneLine(error)
      }
    }
    if (own === order)
      giveUp(
        new AppError(
          'internal',
          `${name} ended ${ATTEMPTS + 1} times: ${last}. It is not started again.`,
        ),
      )
  }
  watch(child)
  return {
    current: () => child,
    async replace(end) {
      order += 1
      await end(child)
      child = await start(child)
      startedMs = nowMs()
      watch(child)
    },
    async close() {
      order += 1
      await child.close()
    },
  }
}

/** Shortens the error of a failed start, which holds the child's last lines. */
function onOneLine(error: unknown): string {
  const words = wordsOf(error)
    .trim()
    .replaceAll(/[\s.:]*\n\s*/g, '; ')
    .replace(/\.$/, '')
  return words.length > LINE_CHARACTERS ? `${words.slice(0, LINE_CHARACTERS)}…` : words
}

/** Describes how a child process ended; a process that could not start gives the error's message. */
export function endOf(child: ChildProcess): Promise<string> {
  return new Promise((resolve) => {
    child.once('exit', (code, signal) =>
      resolve(signal === null ? `code ${code}` : `signal ${signal}`),
    )
    child.once('error', (error) => resolve(error.message))
  })
}
