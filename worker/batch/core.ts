/** A Batch without its runtime: takes a batch, drives it to its end, keeps its results until they are fetched or too old. */
import { AppError } from '#shared/errors.ts'
import { LIMITS } from '#shared/limits.ts'
import { decideIngress } from '#shared/policy.ts'
import { countryCode } from '#shared/region.ts'
import { openBatchDatabase, type BatchDatabase } from './database.ts'
import type { BatchDeps } from './deps.ts'
import { createItemStore, REDUCE_INDEX, type ItemStore } from './items.ts'
import { createLifetime, type Lifetime } from './lifetime.ts'
import { createProgress } from './progress.ts'
import type {
  BatchInput,
  BatchItem,
  BatchSpec,
  BatchStatus,
  ItemResult,
  ResultPage,
  ResultQuery,
} from './protocol.ts'
import { showStatus } from './status.ts'

export interface EventPage {
  readonly ended: readonly { readonly seq: number; readonly item: BatchItem }[]
  readonly status: BatchStatus
  /** Place of the last event, once the batch has ended. */
  readonly endSeq: number | null
}

/** See {@link BatchApi}; `drive` is for the alarm. */
export interface BatchCore {
  create(spec: BatchSpec, input: BatchInput): BatchStatus
  status(ingress: number): BatchStatus
  results(query: ResultQuery, ingress: number): ResultPage
  result(which: number | 'reduced', ingress: number): ItemResult
  cancel(): BatchStatus
  acknowledge(): BatchStatus
  /** What ended after this place, and how everything stands. */
  events(query: ResultQuery, ingress: number): EventPage
  /** Resolves with the next change. */
  changed(): Promise<void>
  /** Does what is to be done now and asks for the time after it. Never rejects; one at a time. */
  drive(): Promise<void>
}

export function createBatchCore(deps: BatchDeps): BatchCore {
  const database = openBatchDatabase(deps.storage)
  const items = createItemStore(database)
  const lifetime = createLifetime(database, deps)
  const changes = createChanges()
  const progress = createProgress({ deps, database, items, lifetime, onChange: changes.announce })
  let driving: Promise<void> | undefined

  const status = (): BatchStatus => {
    const spec = progress.spec()
    const waiting = progress.waiting()
    return showStatus({ spec, items, lifetime, waiting, nowMs: deps.nowMs() })
  }
  const admit = (ingress: number): void => {
    const spec = progress.spec()
    lifetime.checkKept()
    admitIngress(spec, ingress)
  }

  return {
    create(spec, input) {
      if (!database.exists()) {
        insertBatch({ database, items, lifetime }, spec, input)
        deps.log.info('batch.taken', { batch: spec.id, tenant: spec.tenant, items: spec.items })
        deps.wake(deps.nowMs())
      }
      return status()
    },
    status(ingress) {
      admit(ingress)
      return status()
    },
    results(query, ingress) {
      admit(ingress)
      const results = items.page(query)
      const last = results.at(-1)?.item.index
      const isWhole = last === undefined || last === progress.spec().items - 1
      return { results, next: isWhole && !lifetime.isOpen() ? null : (last ?? query.after) }
    },
    result(which, ingress) {
      admit(ingress)
      const found = which === 'reduced' ? findReduced() : items.result(which)
      if (found !== undefined) return found
      const what = which === 'reduced' ? 'reduced result' : `result of item ${which}`
      throw new AppError('not_found', `There is no ${what} (yet).`)
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
    events({ after, limit }, ingress) {
      admit(ingress)
      const ended = items.endedAfter(after, limit)
      const endSeq = lifetime.isOpen() ? null : items.lastSeq() + 1
      return { ended, status: status(), endSeq }
    },
    changed: changes.next,
    drive() {
      // An alarm that goes off in the middle is spent; the next one watches over the work in its place.
      if (driving !== undefined) deps.wake(deps.nowMs() + LIMITS.jobsWatchdogMs)
      return (driving ??= progress.drive(status).finally(() => {
        driving = undefined
      }))
    },
  }

  function findReduced(): ItemResult | undefined {
    const found = lifetime.reduced()
    if (found === null) return undefined
    const payload = database.blobs.get('reduced')
    return items.result(REDUCE_INDEX) ?? { item: REDUCED_HERE, outputs: found.outputs, payload }
  }
}

/** All of it or nothing. */
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

/** The policy's rule of entry holds for whoever fetches results, as it did for who sent the inputs. */
function admitIngress({ policy }: BatchSpec, ingress: number): void {
  const rule = decideIngress(policy, ingress)
  if (rule === 'allow') return
  const detail = `The request entered in ${countryCode(ingress)}, which policy ${policy.id} does not allow.`
  throw new AppError('residency_ingress_denied', detail, { meta: { rule } })
}

/** A reduction that no node did. */
const REDUCED_HERE: BatchItem = {
  index: REDUCE_INDEX,
  status: 'done',
  receipt: null,
  node: null,
  region: null,
  evidence: null,
  units: 0,
  computeMs: null,
  dispatches: 0,
  error: null,
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
