/** The state and the times of a batch, from submission to erasure. */
import { AppError } from '#shared/base/errors.ts'
import type { Bytes32 } from '#shared/base/ids.ts'
import type { TensorHeader } from '#shared/job/job.ts'
import type { BatchDatabase } from '#worker/jobs/store/database.ts'
import { createDelivery } from '#worker/jobs/delivery/delivery.ts'
import type { BatchDeps } from './deps.ts'
import {
  BatchStatus,
  type BatchSpec,
  type BatchState,
  type Fault,
} from '#worker/protocols/batch.ts'

const OPEN: readonly string[] = ['running', 'reducing']
/** Delay before the tenant is told again after a failure. */
const TELL_RETRY_MS = 60_000

type LifetimeDeps = Pick<BatchDeps, 'nowMs' | 'random' | 'send' | 'resize' | 'forget' | 'log'>

export type Lifetime = ReturnType<typeof createLifetime>

export function createLifetime(database: BatchDatabase, deps: LifetimeDeps) {
  const { setting, set } = database
  const { nowMs, random, send, log } = deps
  let parsed: BatchSpec | undefined
  const spec = (): BatchSpec => {
    if (!database.exists()) throw notFound()
    return (parsed ??= JSON.parse(setting('spec') ?? 'null') as BatchSpec)
  }
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
    begin(given: BatchSpec): void {
      set('spec', JSON.stringify(given))
      set('state', 'running')
      set('created_at_ms', String(nowMs()))
    },
    /** @throws {AppError} not_found when there is no batch */
    spec,
    state,
    setState: (next: BatchState): void => set('state', next),
    isOpen,
    createdAtMs: (): number => time('created_at_ms') ?? 0,
    finishedAtMs: (): number | null => time('finished_at_ms'),
    eraseAtMs: (): number | null => time('erase_at_ms'),
    finish(next: BatchState): void {
      set('state', next)
      set('finished_at_ms', String(nowMs()))
      set('erase_at_ms', String(nowMs() + spec().retentionMs))
      set('resize_at_ms', String(nowMs()))
      delivery.begin()
    },
    /** Keeps the reduction's outputs, and its receipt when a node computed it. */
    keepReduced: (outputs: readonly TensorHeader[], receipt: Bytes32 | null): void =>
      set('reduced', JSON.stringify({ outputs, receipt })),
    reduced: (): BatchStatus['reduced'] =>
      BatchStatus.shape.reduced.parse(JSON.parse(setting('reduced') ?? 'null')),
    /** Keeps the fault that ended the batch when no item failed. */
    keepFault: (fault: Fault): void => set('fault', JSON.stringify(fault)),
    fault: (): Fault | null => JSON.parse(setting('fault') ?? 'null') as Fault | null,
    /** From now on the batch reads as not found; `afterwards` erases it. */
    eraseNow: (): void => set('erase_at_ms', String(nowMs())),
    /** @throws {AppError} not_found once the batch is due for erasure */
    checkKept(): void {
      if (eraseAtMs() <= nowMs()) throw notFound()
    },
    webhook: (): BatchStatus['webhook'] => delivery.status(),
    /** Does what is due after the end: the webhook, the report to the tenant, the erasure. */
    async afterwards(status: () => BatchStatus): Promise<void> {
      if (isOpen()) return
      if (eraseAtMs() <= nowMs()) return await erase()
      if ((time('resize_at_ms') ?? Infinity) <= nowMs()) await resize()
      if ((delivery.nextAtMs() ?? Infinity) <= nowMs()) await delivery.attempt(status())
    },
    nextAtMs(): number {
      if (eraseAtMs() <= nowMs()) return time('erase_retry_ms') ?? nowMs()
      const resizeAtMs = time('resize_at_ms') ?? Infinity
      return Math.min(eraseAtMs(), delivery.nextAtMs() ?? Infinity, resizeAtMs)
    },
  }
}

function notFound(): AppError {
  return new AppError('not_found', 'This key has no such batch, or the batch was erased.')
}
