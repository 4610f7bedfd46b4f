/** Decides when receipts leave the outbox: gathered briefly, and retried until tenant and ledger have them. */
import type { Bytes32 } from '#shared/base/ids.ts'
import type { Log } from '#shared/base/log.ts'
import type { Outbox, OutboxEntry } from './outbox.ts'

export interface DeliveryDeps {
  readonly deliver: (entries: readonly OutboxEntry[]) => Promise<readonly Bytes32[]>
  readonly wake: (delayMs: number) => void
  readonly log: Log
}

export type Delivery = ReturnType<typeof createDelivery>

const RETRY_MS = 2_000
/** Receipts gathered for this long are delivered together: one write for all, and none in an answer's way. */
const GATHER_MS = 250

export function createDelivery(outbox: Outbox, { deliver, wake, log }: DeliveryDeps) {
  let isWakeSet = false
  /** Delivers the outbox, and schedules another call if anything is left. */
  const flush = async (): Promise<void> => {
    isWakeSet = false
    const entries = outbox.next()
    if (entries.length === 0) return
    try {
      outbox.delivered(await deliver(entries))
    } catch (error) {
      log.warn('outbox.delivery-failed', { cause: String(error), waiting: entries.length })
    }
    if (!outbox.isEmpty()) wake(RETRY_MS)
  }
  if (!outbox.isEmpty()) wake(RETRY_MS)
  return {
    onReceipt(): void {
      if (isWakeSet) return
      isWakeSet = true
      wake(GATHER_MS)
    },
    flush,
    /** Delivers a job's receipts now. @returns whether any of them is still here */
    async handOver(tenant: string, jobId: string): Promise<boolean> {
      if (outbox.holdsJob(tenant, jobId)) await flush()
      return outbox.holdsJob(tenant, jobId)
    },
  }
}
