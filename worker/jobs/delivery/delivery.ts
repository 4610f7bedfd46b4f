/** A batch's webhook: when and how often it is tried, and its outcome. */
import type { Log } from '#shared/base/log.ts'
import type { BatchDatabase } from '#worker/jobs/store/database.ts'
import { backOffMs } from '#worker/jobs/authority/judge.ts'
import type { BatchSpec, BatchStatus } from '#worker/protocols/batch.ts'
import { deliverMessage, type SendRequest } from './webhook.ts'
import { invariant } from '#shared/base/errors.ts'

const WEBHOOK_ATTEMPTS = 8
const WEBHOOK_RETRY_MIN_MS = 2_000
const WEBHOOK_RETRY_MAX_MS = 3_600_000
invariant(WEBHOOK_RETRY_MIN_MS < WEBHOOK_RETRY_MAX_MS, 'The pause grows.')

interface DeliveryDeps {
  readonly nowMs: () => number
  /** Uniform in [0, 1). */
  readonly random: () => number
  readonly send: SendRequest
  readonly log: Log
  readonly spec: () => BatchSpec
}

export type Delivery = ReturnType<typeof createDelivery>

export function createDelivery({ setting, set }: BatchDatabase, deps: DeliveryDeps) {
  const { nowMs, spec } = deps
  const attempts = () => Number(setting('webhook_attempts') ?? 0)
  const state = () => (setting('webhook') ?? 'waiting') as 'waiting' | 'delivered' | 'given_up'
  return {
    status(): BatchStatus['webhook'] {
      const { webhook } = spec()
      return webhook === null ? null : { url: webhook.url, state: state(), attempts: attempts() }
    },
    begin: (): void => set('webhook_at_ms', String(nowMs())),
    /** Undefined when nothing is left to deliver. */
    nextAtMs(): number | undefined {
      const isOwed = spec().webhook !== null && state() === 'waiting'
      return isOwed ? Number(setting('webhook_at_ms') ?? 0) : undefined
    },
    async attempt(status: BatchStatus): Promise<void> {
      const { webhook, id } = spec()
      if (webhook === null) return
      const attempt = attempts() + 1
      // Written first, so that an attempt counts even if the process dies during it.
      set('webhook_attempts', String(attempt))
      const timestamp = new Date(status.finishedAtMs ?? nowMs()).toISOString()
      const body = JSON.stringify({ type: `batch.${status.status}`, timestamp, data: status })
      const message = { id: id.replace('batch_', 'msg_'), body }
      const outcome = await deliverMessage(webhook, message, { nowMs: nowMs(), send: deps.send })
      deps.log.info('webhook.tried', { batch: id, outcome, attempt })
      if (outcome === 'delivered') return set('webhook', 'delivered')
      if (outcome === 'refused' || attempt >= WEBHOOK_ATTEMPTS) return set('webhook', 'given_up')
      const bounds = { minMs: WEBHOOK_RETRY_MIN_MS, maxMs: WEBHOOK_RETRY_MAX_MS }
      set('webhook_at_ms', String(nowMs() + backOffMs(attempt * 2 - 1, deps.random, bounds)))
    },
  }
}
