/** The state and the times of a batch, from submission to erasure. */
import { z } from 'zod'
import { AppError } from '#shared/base/errors.ts'
import type { Bytes32 } from '#shared/base/ids.ts'
import { TensorHeader } from '#shared/job/job.ts'
import type { BatchDatabase } from '#worker/jobs/store/database.ts'
import { createDelivery } from '#worker/jobs/delivery/delivery.ts'
import type { BatchDeps } from './deps.ts'
import type { BatchSpec, BatchState, BatchStatus, Fault } from '#worker/protocols/batch.ts'

const OPEN: readonly string[] = ['running', 'reducing']
/** Delay before the tenant is told again after a failure. */
const TELL_RETRY_MS = 60_000

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
  /** Keeps the reduction's outputs, and its receipt when a node computed it. */
  keepReduced(outputs: readonly TensorHeader[], receipt: Bytes32 | null): void
  reduced(): BatchStatus['reduced']
  /** Keeps the fault that ended the batch when no item failed. */
  keepFault(fault: Fault): void
  fault(): Fault | null
  /** From now on the batch reads as not found; `afterwards` erases it. */
  eraseNow(): void
  /** @throws {AppError} not_found once the batch is due for erasure */
  checkKept(): void
  webhook(): BatchStatus['webhook']
  /** Does what is due after the end: the webhook, the report to the tenant, the erasure. */
  afterwards(status: () => BatchStatus): Promise<void>
  nextAtMs(): number
}

type LifetimeDeps = Pick<BatchDeps, 'nowMs' | 'random' | 'send' | 'resize' | 'forget' | 'log'>

export function createLifetime(database: BatchDatabase, deps: LifetimeDeps): Lifetime {
  const { setting, set } = database
  const { nowMs } = deps
  let parsed: BatchSpec | undefined
  const spec = (): BatchSpec => {
    if (!database.exists()) throw notFound()
    return (parsed ??= JSON.parse(setting('spec') ?? 'null') as BatchSpec)
  }
  const { random, send, log } = deps
  const delivery = createDelivery(database, { nowMs, random, send, log, spec })
  const time = (name: string) => {
    const text = setting(name)
    return text === undefined ? null : Number(text)
  }
  const eraseAtMs = () => time('erase_at_ms') ?? Infinity
  const state = () => (setting('state') ?? 'running') as BatchState
  const isOpen = () => OPEN.includes(state())
  const erase = async (): Promise<void> => {
    try {
      await deps.forget(spec())
    } catch (error) {
      log.warn('batch.not-forgotten', { batch: spec().id, cause: String(error) })
      set('erase_retry_ms', String(nowMs() + TELL_RETRY_MS))
      return
    }
    database.erase()
    parsed = undefined
  }
  /** The tenant reserved the most that the batch may keep; from now on it counts the real size. */
  const resize = async (): Promise<void> => {
    try {
      await deps.resize(spec(), database.blobs.totalBytes())
      set('resize_at_ms', null)
    } catch (error) {
      log.warn('batch.not-resized', { batch: spec().id, cause: String(error) })
      set('resize_at_ms', String(nowMs() + TELL_RETRY_MS))
    }
  }
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
      set('resize_at_ms', String(nowMs()))
      delivery.begin()
    },
    keepReduced: (outputs, receipt) => set('reduced', JSON.stringify({ outputs, receipt })),
    reduced: () => Reduced.parse(JSON.parse(setting('reduced') ?? 'null')),
    keepFault: (fault) => set('fault', JSON.stringify(fault)),
    fault: () => JSON.parse(setting('fault') ?? 'null') as Fault | null,
    eraseNow: () => set('erase_at_ms', String(nowMs())),
    checkKept() {
      if (eraseAtMs() <= nowMs()) throw notFound()
    },
    webhook: () => delivery.status(),
    async afterwards(status) {
      if (isOpen()) return
      if (eraseAtMs() <= nowMs()) return await erase()
      if ((time('resize_at_ms') ?? Infinity) <= nowMs()) await resize()
      if ((delivery.nextAtMs() ?? Infinity) <= nowMs()) await delivery.attempt(status())
    },
    nextAtMs() {
      if (eraseAtMs() <= nowMs()) return time('erase_retry_ms') ?? nowMs()
      const resizeAtMs = time('resize_at_ms') ?? Infinity
      return Math.min(eraseAtMs(), delivery.nextAtMs() ?? Infinity, resizeAtMs)
    },
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
