/** A Batch without its runtime: takes a batch, drives it to its end, and keeps its results until they are fetched or expire. */
import { AppError } from '#shared/base/errors.ts'
import { openBatchDatabase, type BatchDatabase } from '#worker/jobs/store/database.ts'
import type { BatchDeps } from './deps.ts'
import { createItemStore, type ItemStore } from '#worker/jobs/store/items.ts'
import { createLifetime, type Lifetime } from './lifetime.ts'
import { createProgress, JOBS_WATCHDOG_MS } from './progress.ts'
import type { BatchInput, BatchSpec, BatchStatus } from '#worker/protocols/batch.ts'
import { createReader, type BatchReader } from './read.ts'
import { showStatus } from './status.ts'

/** See {@link BatchApi}; `drive` is for the alarm. */
export interface BatchCore extends BatchReader {
  create(spec: BatchSpec, input: BatchInput): BatchStatus
  cancel(): BatchStatus
  acknowledge(): BatchStatus
  changed(): Promise<void>
  /** Does what is due and asks for the next alarm. It never rejects; only one runs at a time. */
  drive(): Promise<void>
}

export function createBatchCore(deps: BatchDeps): BatchCore {
  const database = openBatchDatabase(deps.storage)
  const items = createItemStore(database)
  const lifetime = createLifetime(database, deps)
  const changes = createChanges()
  const onChange = () => changes.announce()
  const progress = createProgress({ deps, database, items, lifetime, onChange })
  let driving: Promise<void> | undefined

  const status = (): BatchStatus => {
    const spec = progress.spec()
    const waiting = progress.waiting()
    return showStatus({ spec, items, lifetime, waiting, nowMs: deps.nowMs() })
  }

  return {
    ...createReader({ database, items, lifetime, status }),
    create(spec, input) {
      if (!database.exists()) {
        insertBatch({ database, items, lifetime }, spec, input)
        deps.log.info('batch.taken', { batch: spec.id, tenant: spec.tenant, items: spec.items })
        deps.wake(deps.nowMs())
      }
      return status()
    },
    cancel() {
      progress.spec()
      lifetime.checkKept()
      if (lifetime.isOpen()) {
        progress.finish('cancelled', { code: 'cancelled', detail: 'The batch was cancelled.' })
        progress.planNext()
      }
      return status()
    },
    acknowledge() {
      progress.spec()
      lifetime.checkKept()
      if (lifetime.isOpen()) {
        const detail = 'The batch still runs: cancel it, or wait for its end.'
        throw new AppError('invalid_request', detail)
      }
      const last = status()
      database.transaction(() => {
        lifetime.eraseNow()
        database.blobs.removeAll()
      })
      progress.planNext()
      return last
    },
    changed: () => changes.next(),
    drive() {
      // An alarm that fires meanwhile is used up, so the work needs another to watch over it.
      if (driving !== undefined) deps.wake(deps.nowMs() + JOBS_WATCHDOG_MS)
      return (driving ??= progress.drive(status).finally(() => {
        driving = undefined
      }))
    },
  }
}

function insertBatch(
  into: {
    readonly database: BatchDatabase
    readonly items: ItemStore
    readonly lifetime: Lifetime
  },
  spec: BatchSpec,
  input: BatchInput,
): void {
  const { database, items, lifetime } = into
  database.transaction(() => {
    database.create()
    lifetime.begin(spec)
    database.blobs.put('shared', input.shared)
    database.blobs.put('reduce', input.reduce)
    items.insert(spec.items, input, spec.template?.units ?? 0)
  })
}

function createChanges() {
  let next = Promise.withResolvers<void>()
  return {
    announce() {
      next.resolve()
      next = Promise.withResolvers()
    },
    next: () => next.promise,
  }
}
