/** One kind of engine worker for as long as the node lives: another takes over when its device, its runtime or itself is lost. */
import { AppError, toAppError } from '#shared/base/errors.ts'
import { LIMITS } from '#shared/base/limits.ts'
import type { Log } from '#shared/base/log.ts'

/** One worker, as far as its life goes. */
export interface LivingLink {
  /** Why it takes no more work. */
  readonly lost: Promise<string>
  /** Resolves when the worker was ended; one whose device hangs is left until the device comes to its end. */
  readonly ended: Promise<void>
  /** Resolves when nothing that was begun still runs. @param onHeard called at once by a worker that no run blocks */
  rest(onHeard?: () => void): Promise<void>
  /** Ends the worker now, whatever it does. */
  end(reason: string): void
}

export interface EnginePartOptions<L extends LivingLink> {
  readonly open: () => Promise<L>
  /** What a new worker needs before it serves as the last one did; what it throws makes another one. */
  readonly prepare: (link: L) => Promise<void>
  /** It can do other things than before. */
  readonly onChange: () => void
  readonly log: Pick<Log, 'warn'>
  /** Waits between tries. @default a timer */
  readonly pause?: (ms: number) => Promise<void>
}

export interface EnginePart<L extends LivingLink> {
  /** The worker that takes work now. */
  current(): L | undefined
  /**
   * The worker that takes work now, or the one that is being opened in its place.
   * @throws {AppError} node_lost when none can be opened now
   */
  next(): Promise<L>
  /** Why there is none, in words. */
  trouble(): string | undefined
  /**
   * Begins, or begins again after `rest`; resolves when it serves, or was put to rest meanwhile.
   * @throws {AppError} why the very first worker cannot be opened; later ones are tried for again and again
   */
  start(): Promise<void>
  /** Resolves when nothing runs any more. @param withinMs a worker that a run blocks for longer is ended @default none is */
  rest(withinMs?: number): Promise<void>
  close(): void
}

export function createEnginePart<L extends LivingLink>(
  options: EnginePartOptions<L>,
): EnginePart<L> {
  const { open, prepare, onChange, log, pause = sleep } = options
  /** Workers that live, those whose device hangs among them. */
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
      if (attempt > 0) await pause(retryMs(attempt))
      // Each that hangs holds memory, and the GPU.
      await roomAmong(living, () => waiting.disappoint(trouble))
      try {
        const link = await open()
        if (!isWanted) return link.end('Nobody wants it any more.')
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
    current: () => current,
    async next() {
      if (current === undefined && starting === undefined) throw lost(trouble)
      return current ?? waiting.next()
    },
    trouble: () => trouble,
    start,
    async rest(withinMs) {
      isWanted = false
      waiting.disappoint(trouble)
      const link = current
      if (link === undefined) return
      const end = () => link.end(STOPPED)
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

/** @param why in words; undefined at rest */
export function lost(why: string | undefined): AppError {
  const words = why ?? 'it is at rest'
  const detail = `What computes here was lost and is not back yet: ${words.replace(/\.$/, '')}.`
  return new AppError('node_lost', detail)
}

/** Those who need the next worker. */
function createWaiting<L>() {
  const create = () => {
    const made = Promise.withResolvers<L>()
    // Nobody may be waiting when it is rejected.
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
    /** None comes soon: whoever waits can still go elsewhere. */
    disappoint(why: string | undefined) {
      next.reject(lost(why))
      next = create()
    },
  }
}

function retryMs(attempt: number): number {
  return Math.min(LIMITS.engineRetryMaxMs, LIMITS.engineRetryMs * 2 ** attempt)
}

async function roomAmong(living: ReadonlySet<LivingLink>, onFull: () => void): Promise<void> {
  while (living.size >= LIMITS.devicesAbandoned) {
    onFull()
    await Promise.race([...living].map(({ ended }) => ended))
  }
}

const STOPPED = 'It was stopped by its owner.'

function sleep(ms: number): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, ms))
}
