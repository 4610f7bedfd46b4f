/**
 * Delivers the outbox to tenants and ledger. Answers go first: while nodes have jobs, receipts gather for two seconds and
 * leave together; when the hub is quiet, they leave soon.
 */
import { groupOf, type ReceiptGroup, type WholeReceipt } from '#shared/audit/receipt-group.ts'
import type { Bytes32, TenantId } from '#shared/base/ids.ts'
import type { Log } from '#shared/base/log.ts'
import { systemClock, type Clock } from '#p2p/stream/clock.ts'
import type { Outbox, OutboxGroup } from './outbox.ts'

/** Where receipts go. */
export interface Receivers {
  /** Records a tenant's receipts. @returns those whose job has an earlier receipt, and the account that pays */
  record(tenant: TenantId, group: ReceiptGroup): Promise<Recorded>
  /** Hands recorded receipts to the ledger. @returns the ids that it has now */
  accept(group: ReceiptGroup, later: readonly Bytes32[]): Promise<readonly Bytes32[]>
}

export interface Recorded {
  readonly later: readonly Bytes32[]
  readonly consumer: `0x${string}` | null
}

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

/** Receipts in one delivery. */
const DELIVERED_TOGETHER = 512
/** How often a hub with waiting receipts looks whether it is quiet. */
const QUIET_CHECK_MS = 250
/** Longest time that receipts wait for a quiet moment. */
const GATHER_MS = 2_000
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
  let cancel = () => {}
  let current: Promise<void> | undefined

  const schedule = () => {
    if (!isWakeSet) wake(WAKE_MS)
    isWakeSet = true
    if (isStopped || waitingSinceMs !== undefined) return
    waitingSinceMs = clock.nowMs()
    cancel = clock.after(hasFailed ? RETRY_MS : QUIET_CHECK_MS, check)
  }
  const check = () => {
    const isDue = clock.nowMs() - (waitingSinceMs ?? 0) >= GATHER_MS
    if (isDue || running() === 0) void deliverAll()
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
  const pass = async (): Promise<void> => {
    hasFailed = false
    let [sequence, size] = [0, DELIVERED_TOGETHER]
    // A page that is not full is the end: what comes meanwhile gathers for the next delivery.
    while (size >= DELIVERED_TOGETHER) {
      const groups = outbox.next(sequence, DELIVERED_TOGETHER)
      size = groups.reduce((sum, group) => sum + group.size, 0)
      sequence = groups.at(-1)?.sequence ?? sequence
      for (const ofKey of Map.groupBy(groups, ({ hubKey }) => hubKey.x + hubKey.y).values())
        await deliver(ofKey)
    }
  }
  const deliver = async (groups: readonly OutboxGroup[]): Promise<void> => {
    const count = groups.reduce((sum, { receipts }) => sum + receipts.length, 0)
    try {
      const ids = await deliverGroups(groups, receivers, log)
      outbox.delivered(groups, ids)
      if (ids.size < count) hasFailed = true
    } catch (error) {
      hasFailed = true
      log.warn('outbox.delivery-failed', { cause: String(error), waiting: outbox.size() })
    }
  }
  if (!outbox.isEmpty()) schedule()
  return {
    onReceipts: schedule,
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

/** To the tenants first, then to the ledger. Both are idempotent, so a failure only repeats. @returns what both have */
async function deliverGroups(
  groups: readonly OutboxGroup[],
  receivers: Receivers,
  log: Log,
): Promise<ReadonlySet<Bytes32>> {
  const [first] = groups
  if (first === undefined) return new Set()
  const { hubKey } = first
  const byTenant = Map.groupBy(
    groups.flatMap(({ receipts }) => receipts),
    ({ ticket }) => ticket.tenant,
  )
  const recorded: WholeReceipt[] = []
  const later: Bytes32[] = []
  for (const [tenant, own] of byTenant) {
    try {
      const answer = await receivers.record(tenant, groupOf(hubKey, own))
      later.push(...answer.later)
      recorded.push(
        ...own.map((receipt) => ({ ...receipt, consumer: receipt.consumer ?? answer.consumer })),
      )
    } catch (error) {
      // One failing tenant must not hold up the others. Its receipts stay in the outbox.
      log.warn('outbox.tenant-failed', { tenant, cause: String(error) })
    }
  }
  if (recorded.length === 0) return new Set()
  return new Set(await receivers.accept(groupOf(hubKey, recorded), later))
}
