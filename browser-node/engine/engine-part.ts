/** Keeps one kind of engine worker available: opens a new one when its device, its runtime or the worker itself is lost. */
import { AppError, toAppError, invariant } from '#shared/base/errors.ts'
import type { Log } from '#shared/base/log.ts'

/** First pause before a new engine worker is opened. */
const ENGINE_RETRY_MS = 250
export const ENGINE_RETRY_MAX_MS = 30_000
/** Hung engine workers of one kind. A new one opens when one of these ends. */
export const DEVICES_ABANDONED = 4
invariant(ENGINE_RETRY_MS < ENGINE_RETRY_MAX_MS, 'The pause grows.')

/** The life cycle of one worker. */
export interface LivingLink {
  /** Resolves with the reason when the worker takes no more work. */
  readonly lost: Promise<string>
  /** Resolves when the worker has ended; a worker whose device hangs lives until the device ends. */
  readonly ended: Promise<void>
  /** Resolves when all work that was begun has ended. @param onHeard called at once unless a run blocks the worker */
  rest(onHeard?: () => void): Promise<void>
  end(reason: string): void
}

export interface EnginePartOptions<L extends LivingLink> {
  readonly open: () => Promise<L>
  /** Brings a new worker to the state of the last one. When it throws, another worker is opened. */
  readonly prepare: (link: L) => Promise<void>
  /** Called when the part's offer has changed. */
  readonly onChange: () => void
  readonly log: Pick<Log, 'warn'>
  /** Waits between tries. @default a timer */
  readonly pause?: (ms: number) => Promise<void>
}

export function createEnginePart<L extends LivingLink>(options: EnginePartOptions<L>) {
  const { open, prepare, onChange, log, pause = sleep } = options
  /** Includes workers whose device hangs. */
  const living = new Set<L>()
  let current: L | undefined
  let trouble: string | undefined
  let starting: Promise<void> | undefined
  let isWanted = false
  let hasServed = false
  const waiting = createWaiting<L>()

  const lose = (link: L, reason: string) => {
    if (current !== link) return
    current = undefined
    trouble = reason
    log.warn('engine.lost', { reason })
    onChange()
    if (isWanted) void start()
  }
  const begin = async () => {
    for (let attempt = 0; isWanted; attempt += 1) {
      if (attempt > 0) await pause(Math.min(ENGINE_RETRY_MAX_MS, ENGINE_RETRY_MS * 2 ** attempt))
      // Each worker that hangs holds memory and the GPU.
      while (living.size >= DEVICES_ABANDONED) {
        waiting.disappoint(trouble)
        await Promise.race([...living].map(({ ended }) => ended))
      }
      try {
        const link = await open()
        if (!isWanted) return link.end('The worker is no longer needed.')
        current = link
        living.add(link)
        void link.ended.then(() => living.delete(link))
        void link.lost.then((reason) => lose(link, reason))
        await prepare(link)
        if (current !== link) continue
        trouble = undefined
        hasServed = true
        waiting.serve(link)
        onChange()
        return
      } catch (error) {
        if (!hasServed) throw error
        trouble = toAppError(error).detail
        log.warn('engine.not-opened', { attempt, reason: trouble })
        waiting.disappoint(trouble)
        onChange()
      }
    }
  }
  const start = () => {
    isWanted = true
    if (current !== undefined && starting === undefined) return Promise.resolve()
    starting ??= begin().finally(() => (starting = undefined))
    return starting
  }
  return {
    /** The worker that takes work now. */
    current: () => current,
    /**
     * The current worker, or the next one while it opens.
     * @throws {AppError} node_lost when none can be opened now
     */
    async next(): Promise<L> {
      if (current === undefined && starting === undefined) throw lost(trouble)
      return current ?? waiting.next()
    },
    /** Why no worker takes work now. */
    trouble: () => trouble,
    /**
     * Starts, or starts again after `rest`; resolves when a worker serves, or when `rest` was called meanwhile.
     * @throws {AppError} why the very first worker cannot be opened; later failures are retried without end
     */
    start,
    /** Resolves when all work has ended. @param withinMs ends a worker that a run blocks for longer @default never */
    async rest(withinMs?: number) {
      isWanted = false
      waiting.disappoint(trouble)
      const link = current
      if (link === undefined) return
      const end = () => link.end('It was stopped by its owner.')
      const timer = withinMs === undefined ? undefined : setTimeout(end, withinMs)
      await link.rest(() => clearTimeout(timer)).catch(() => {})
      clearTimeout(timer)
    },
    close() {
      isWanted = false
      waiting.disappoint(trouble)
      for (const link of living) link.end('The engine was closed.')
    },
  }
}

/** @param why undefined at rest */
export function lost(why: string | undefined): AppError {
  const words = why ?? 'it is at rest'
  const detail = `The engine was lost and is not available yet: ${words.replace(/\.$/, '')}.`
  return new AppError('node_lost', detail)
}

/** Keeps the callers that wait for the next worker. */
function createWaiting<L>() {
  const create = () => {
    const made = Promise.withResolvers<L>()
    // It may be rejected while no caller waits.
    made.promise.catch(() => {})
    return made
  }
  let next = create()
  return {
    next: () => next.promise,
    serve(link: L) {
      next.resolve(link)
      next = create()
    },
    /** Rejects the waiting callers, so that their jobs can go to another node. */
    disappoint(why: string | undefined) {
      next.reject(lost(why))
      next = create()
    },
  }
}

function sleep(ms: number): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, ms))
}
