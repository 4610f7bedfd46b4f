/** A batch from its taking to its erasure: state, times, the webhook's attempts. */
import { z } from 'zod'
import { AppError } from '#shared/errors.ts'
import type { Bytes32 } from '#shared/ids.ts'
import { TensorHeader } from '#shared/job.ts'
import { LIMITS } from '#shared/limits.ts'
import type { BatchDeps } from './deps.ts'
import type { BatchDatabase } from './database.ts'
import { backOffMs } from './judge.ts'
import type { BatchSpec, BatchState, BatchStatus, Fault } from './protocol.ts'
import { deliverMessage } from './webhook.ts'

const OPEN: readonly string[] = ['running', 'reducing']
const ERASE_RETRY_MS = 60_000

export interface Lifetime {
  begin(spec: BatchSpec): void
  /** @throws {AppError} not_found when there is no batch */
  spec(): BatchSpec
  state(): BatchState
  setState(state: BatchState): void
  isOpen(): boolean
  createdAtMs(): number
  finishedAtMs(): number | null
  eraseAtMs(): number | null
  finish(state: BatchState): void
  /** Outputs of the reduction, and its receipt where a node did it. */
  keepReduced(outputs: readonly TensorHeader[], receipt: Bytes32 | null): void
  reduced(): BatchStatus['reduced']
  /** What ended the batch when none of its items did. */
  keepFault(fault: Fault): void
  fault(): Fault | null
  /** From now on it is as if it were gone; `afterwards` takes away the rest. */
  eraseNow(): void
  /** @throws {AppError} not_found once it is to be erased */
  checkKept(): void
  webhook(): BatchStatus['webhook']
  /** Of a batch that has ended: the webhook, then the erasure, each when it is due. */
  afterwards(status: () => BatchStatus): Promise<void>
  nextAtMs(): number
}

type LifetimeDeps = Pick<BatchDeps, 'nowMs' | 'random' | 'send' | 'forget' | 'log'>

export function createLifetime(database: BatchDatabase, deps: LifetimeDeps): Lifetime {
  const { setting, set } = database
  const { nowMs } = deps
  let parsed: BatchSpec | undefined
  const time = (name: string) => {
    const text = setting(name)
    return text === undefined ? null : Number(text)
  }
  const state = () => (setting('state') ?? 'running') as BatchState
  const spec = (): BatchSpec => {
    if (!database.exists()) throw notFound()
    return (parsed ??= JSON.parse(setting('spec') ?? 'null') as BatchSpec)
  }
  const hook = () => {
    const { webhook } = spec()
    if (webhook === null) return null
    return {
      url: webhook.url,
      state: (setting('webhook') ?? 'waiting') as 'waiting' | 'delivered' | 'given_up',
      attempts: time('webhook_attempts') ?? 0,
    }
  }
  const isOpen = () => OPEN.includes(state())
  return {
    begin(given) {
      set('spec', JSON.stringify(given))
      set('state', 'running')
      set('created_at_ms', String(nowMs()))
    },
    spec,
    state,
    setState: (next) => set('state', next),
    isOpen,
    createdAtMs: () => time('created_at_ms') ?? 0,
    finishedAtMs: () => time('finished_at_ms'),
    eraseAtMs: () => time('erase_at_ms'),
    finish(next) {
      set('state', next)
      set('finished_at_ms', String(nowMs()))
      set('erase_at_ms', String(nowMs() + spec().retentionMs))
      set('webhook_at_ms', String(nowMs()))
    },
    keepReduced: (outputs, receipt) => set('reduced', JSON.stringify({ outputs, receipt })),
    reduced: () => Reduced.parse(JSON.parse(setting('reduced') ?? 'null')),
    keepFault: (fault) => set('fault', JSON.stringify(fault)),
    fault: () => JSON.parse(setting('fault') ?? 'null') as Fault | null,
    eraseNow() {
      set('erase_at_ms', String(nowMs()))
      set('erased', 'true')
    },
    checkKept() {
      const isDue = (time('erase_at_ms') ?? Infinity) <= nowMs()
      if (isDue || setting('erased') === 'true') throw notFound()
    },
    webhook: hook,
    async afterwards(status) {
      if (isOpen()) return
      const isKept = setting('erased') !== 'true'
      if (isKept && hook()?.state === 'waiting' && (time('webhook_at_ms') ?? 0) <= nowMs()) {
        await deliver(status())
      }
      if ((time('erase_at_ms') ?? Infinity) > nowMs()) return
      try {
        await deps.forget(spec())
      } catch (error) {
        deps.log.warn('batch.not-forgotten', { batch: spec().id, cause: String(error) })
        set('erase_at_ms', String(nowMs() + ERASE_RETRY_MS))
        return
      }
      database.erase()
      parsed = undefined
    },
    nextAtMs() {
      const eraseAtMs = time('erase_at_ms') ?? 0
      if (hook()?.state !== 'waiting' || setting('erased') === 'true') return eraseAtMs
      return Math.min(eraseAtMs, time('webhook_at_ms') ?? 0)
    },
  }

  async function deliver(status: BatchStatus): Promise<void> {
    const { webhook, id } = spec()
    if (webhook === null) return
    const attempts = (time('webhook_attempts') ?? 0) + 1
    // Written first: an attempt that ends with the process counts.
    set('webhook_attempts', String(attempts))
    const timestamp = new Date(status.finishedAtMs ?? nowMs()).toISOString()
    const body = JSON.stringify({ type: `batch.${status.status}`, timestamp, data: status })
    const message = { id: id.replace('batch_', 'msg_'), body }
    const delivery = await deliverMessage(webhook, message, { nowMs: nowMs(), send: deps.send })
    deps.log.info('webhook.tried', { batch: id, delivery, attempts })
    if (delivery === 'delivered') return set('webhook', 'delivered')
    if (delivery === 'refused' || attempts >= LIMITS.webhookAttempts) {
      return set('webhook', 'given_up')
    }
    const bounds = { minMs: LIMITS.webhookRetryMinMs, maxMs: LIMITS.webhookRetryMaxMs }
    set('webhook_at_ms', String(nowMs() + backOffMs(attempts * 2 - 1, deps.random, bounds)))
  }
}

function notFound(): AppError {
  return new AppError('not_found', 'This key has no such batch, or it is erased.')
}

const Reduced = z
  .strictObject({
    outputs: z.array(TensorHeader),
    receipt: z.custom<Bytes32>((value) => typeof value === 'string').nullable(),
  })
  .nullable()
