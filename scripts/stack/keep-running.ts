/** Keeps a child process running: names its death, starts it again after a pause that grows, and says when it gives up. */
import type { ChildProcess } from 'node:child_process'
import { setTimeout as sleep } from 'node:timers/promises'
import { AppError } from '#shared/base/errors.ts'
import { wordsOf } from '#scripts/base/arguments.ts'

const FIRST_PAUSE_MS = 500
/** Starts in a row; half a second before the first, eight before the last. */
const ATTEMPTS = 5
/** Ctrl-C reaches the children, too: by then it is known that their end was asked for. */
const GRACE_MS = 100
/** A child that lived this long has started well: its next death is the first of a new row. */
const STEADY_MS = 60_000
/** What is told of one failed start. */
const LINE_CHARACTERS = 300

/** A running child process. */
export interface Child {
  /** Resolves when it has ended, with how: `code 1`, `signal SIGKILL`. */
  readonly ended: Promise<string>
  close(): Promise<void>
}

export interface Keeper {
  readonly say: (text: string) => void
  /** Called once for a child that could not be started again. */
  readonly giveUp: (error: AppError) => void
  readonly wait?: (ms: number) => Promise<unknown>
  readonly nowMs?: () => number
}

export interface Kept<T extends Child> {
  /** The one that runs, or ran last. */
  current(): T
  /** Ends it in this way and starts it again at once. */
  replace(end: (child: T) => Promise<void>): Promise<void>
  /** Ends it for good. */
  close(): Promise<void>
}

/**
 * Starts a child, and starts it again whenever it ends unasked.
 * @param start its argument is the child that ended: for the same port
 * @param keeper without one a death is left to the caller
 * @param then what comes between its start and its work, for the line that tells of its death
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
  /** Counts what was asked for; a watch of an older child then has nothing to do. */
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

/** A failed start has the child's last lines in its words. */
function onOneLine(error: unknown): string {
  const words = wordsOf(error)
    .trim()
    .replaceAll(/[\s.:]*\n\s*/g, '; ')
    .replace(/\.$/, '')
  return words.length > LINE_CHARACTERS ? `${words.slice(0, LINE_CHARACTERS)}…` : words
}

/** How a child process ended, in words; one that could not be started at all has the error's. */
export function endOf(child: ChildProcess): Promise<string> {
  return new Promise((resolve) => {
    child.once('exit', (code, signal) =>
      resolve(signal === null ? `code ${code}` : `signal ${signal}`),
    )
    child.once('error', (error) => resolve(error.message))
  })
}
