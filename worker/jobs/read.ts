/** Reads of a batch (status, results, events), for callers whose country of entry its policy allows. */
import { AppError } from '#shared/base/errors.ts'
import { decideIngress } from '#shared/law/decide.ts'
import { Bytes32 } from '#shared/base/ids.ts'
import type { CompiledPolicy } from '#shared/law/policy.ts'
import { countryCode } from '#shared/law/region.ts'
import type { BatchDatabase } from '#worker/jobs/store/database.ts'
import { REDUCE_INDEX, type ItemStore } from '#worker/jobs/store/items.ts'
import type { Lifetime } from './lifetime.ts'
import type {
  BatchItem,
  BatchSpec,
  BatchStatus,
  ItemResult,
  ResultPage,
  ResultQuery,
} from '#worker/protocols/batch.ts'

export interface EventPage {
  readonly ended: readonly { readonly seq: number; readonly item: BatchItem }[]
  readonly status: BatchStatus
  /** Sequence of the last event; null until the batch has ended. */
  readonly endSeq: number | null
}

export interface ReaderParts {
  readonly database: BatchDatabase
  readonly items: ItemStore
  readonly lifetime: Lifetime
  readonly status: () => BatchStatus
}

export type BatchReader = ReturnType<typeof createReader>

export function createReader({ database, items, lifetime, status }: ReaderParts) {
  const admit = (ingress: number): BatchSpec => {
    const spec = lifetime.spec()
    lifetime.checkKept()
    const narrowed = Bytes32.optional().parse(database.setting('ingress'))
    admitIngress(
      narrowed === undefined ? spec.policy : { ...spec.policy, ingress: narrowed },
      ingress,
    )
    return spec
  }
  const findReduced = (): ItemResult | undefined => {
    const found = lifetime.reduced()
    if (found === null) return undefined
    const payload = database.blobs.get('reduced')
    return items.result(REDUCE_INDEX) ?? { item: REDUCED_HERE, outputs: found.outputs, payload }
  }
  return {
    status(ingress: number): BatchStatus {
      admit(ingress)
      return status()
    },
    results(query: ResultQuery, ingress: number): ResultPage {
      const spec = admit(ingress)
      const results = items.page(query)
      const last = results.at(-1)?.item.index
      const isWhole = last === undefined || last === spec.items - 1
      return { results, next: isWhole && !lifetime.isOpen() ? null : (last ?? query.after) }
    },
    result(which: number | 'reduced', ingress: number): ItemResult {
      admit(ingress)
      const found = which === 'reduced' ? findReduced() : items.result(which)
      if (found !== undefined) return found
      const what = which === 'reduced' ? 'reduced result' : `result of item ${which}`
      throw new AppError('not_found', `There is no ${what} (yet).`)
    },
    /** Items that ended after this sequence, and the status. */
    events({ after, limit }: ResultQuery, ingress: number): EventPage {
      admit(ingress)
      const ended = items.endedAfter(after, limit)
      const endSeq = lifetime.isOpen() ? null : items.lastSeq() + 1
      return { ended, status: status(), endSeq }
    },
  }
}

/** The ingress rule for readers: that of submission, narrowed by newer versions while the batch ran. */
function admitIngress(policy: CompiledPolicy, ingress: number): void {
  const rule = decideIngress(policy, ingress)
  if (rule === 'allow') return
  const detail = `The request entered in ${countryCode(ingress)}, which policy ${policy.id} does not allow.`
  throw new AppError('residency_ingress_denied', detail, { meta: { rule } })
}

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
