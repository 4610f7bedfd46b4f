/**
 * Decides when the outbox is delivered. Answers go first: while nodes have jobs, receipts gather for two seconds and leave
 * together, a few at a time; when the hub is quiet, they leave soon.
 */
import type { Log } from '#shared/base/log.ts'
import { systemClock, type Clock } from '#p2p/stream/clock.ts'
import { deliverPage, type Receivers } from './deliver-page.ts'
import type { Outbox, OutboxGroup } from './outbox.ts'

export interface DeliveryDeps {
  readonly receivers: Receivers
  /** Number of jobs that nodes have now. */
  readonly running: () => number
  /** Asks for a call of {@link Delivery.flush} even if this process ends before. */
  readonly wake: (delayMs: number) => void
  readonly log: Log
  /** @default systemClock */
  readonly clock?: Clock | undefined
}

export type Delivery = ReturnType<typeof createDelivery>

/** Receipts that are read before they go out, so that those of one tenant go together. */
const PAGE_RECEIPTS = 512
/** How often a hub with waiting receipts looks whether it is quiet. */
const QUIET_CHECK_MS = 250
/** Longest time that receipts wait for a quiet moment. */
const GATHER_MS = 2_000
/**
 * Receipts in one call. Small ones let answers through; large ones cost less, because neighbours in an index share pages.
 */
export const SLICE_RECEIPTS = { busy: 64, quiet: 256 } as const
/** Pause after each slice while nodes have jobs: what arrived during the slice is answered. */
export const SLICE_PAUSE_MS = 5
/** Pause after a delivery that failed. */
const RETRY_MS = 2_000
/** When the runtime itself calls, in case that the timer was lost with the process. */
const WAKE_MS = 10_000

export function createDelivery(outbox: Outbox, deps: DeliveryDeps) {
  const { receivers, running, wake, log, clock = systemClock } = deps
  let waitingSinceMs: number | undefined
  let isWakeSet = false
  let hasFailed = false
  let isStopped = false
  let hasNews = false
  let cancel = () => {}
  let current: Promise<void> | undefined

  const schedule = () => {
    if (!isWakeSet) wake(WAKE_MS)
    isWakeSet = true
    if (isStopped || waitingSinceMs !== undefined) return
    waitingSinceMs = clock.nowMs()
    hasNews = false
    cancel = clock.after(hasFailed ? RETRY_MS : QUIET_CHECK_MS, check)
  }
  const check = () => {
    const isDue = clock.nowMs() - (waitingSinceMs ?? 0) >= GATHER_MS
    // Between two jobs that follow each other no node has one, and yet the hub is not quiet.
    const isQuiet = running() === 0 && !hasNews
    hasNews = false
    if (isDue || isQuiet) void deliverAll()
    else cancel = clock.after(QUIET_CHECK_MS, check)
  }
  /** Delivers once through the whole outbox. Only one delivery runs at a time. */
  const deliverAll = (): Promise<void> => {
    current ??= pass()
      .catch((error: unknown) => {
        hasFailed = true
        log.error('outbox.unreadable', { cause: String(error), waiting: outbox.size() })
      })
      .finally(() => {
        current = undefined
        waitingSinceMs = undefined
        if (!outbox.isEmpty()) schedule()
      })
    return current
  }
  const slice = () => (running() > 0 ? SLICE_RECEIPTS.busy : SLICE_RECEIPTS.quiet)
  const spend = createBudget(slice, clock)
  /** What comes meanwhile gathers for the next delivery. */
  const pass = async (): Promise<void> => {
    hasFailed = false
    const end = outbox.end()
    for (let next: number | undefined = 0; next !== undefined && next < end;) {
      const page = await readPage(outbox, { from: next, end, slice, spend })
      next = page.next
      const byKey = Map.groupBy(page.groups, ({ hubKey }) => hubKey.x + hubKey.y)
      for (const groups of byKey.values()) await deliver(groups)
    }
  }
  const deliver = async (groups: readonly OutboxGroup[]): Promise<void> => {
    const ids = await deliverPage(groups, { receivers, slice, spend, log })
    outbox.delivered(groups, ids)
    if (groups.some(({ receipts }) => receipts.some(({ id }) => !ids.has(id)))) hasFailed = true
  }
  if (!outbox.isEmpty()) schedule()
  return {
    onReceipts(): void {
      hasNews = true
      schedule()
    },
    /** For a hub that runs as a plain process. What waits is delivered after its next start. */
    stop(): void {
      isStopped = true
      cancel()
    },
    /** Called by the runtime. */
    async flush(): Promise<void> {
      isWakeSet = false
      await deliverAll()
    },
    /** Delivers a job's receipts now. @returns whether any of them is still here */
    async handOver(tenant: string, jobId: string): Promise<boolean> {
      if (outbox.holdsJob(tenant, jobId)) {
        await current
        await deliverAll()
      }
      return outbox.holdsJob(tenant, jobId)
    },
  }
}

interface Reading {
  readonly from: number
  readonly end: number
  readonly slice: () => number
  readonly spend: (receipts: number) => Promise<void>
}

/** Reads a page in slices. @returns its rows, and where the next page begins */
async function readPage(outbox: Outbox, { from, end, slice, spend }: Reading) {
  const groups: OutboxGroup[] = []
  let next: number | undefined = from
  for (let size = 0; next !== undefined && next < end && size < PAGE_RECEIPTS;) {
    const page = outbox.page(next, slice())
    next = page.next
    groups.push(...page.groups)
    size += page.size
    await spend(page.size)
  }
  return { groups, next }
}

/** Lets a slice of receipts be handled, then makes them wait: for answers while nodes have jobs, else for one turn. */
function createBudget(slice: () => number, clock: Clock) {
  let spent = 0
  return async (receipts: number): Promise<void> => {
    spent += receipts
    if (spent < slice()) return
    spent = 0
    const pauseMs = slice() === SLICE_RECEIPTS.busy ? SLICE_PAUSE_MS : 0
    await new Promise<void>((resume) => void clock.after(pauseMs, resume))
  }
}
