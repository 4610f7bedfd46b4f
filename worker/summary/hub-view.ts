/** An isolate's copy of the hubs' summaries. It is read in the background, so that no request waits for it. */
import { errorCode } from '#shared/base/errors.ts'
import type { Jurisdiction } from '#shared/law/policy.ts'
import type { HubRegion } from './hub-region.ts'
import type { HubSummary } from './hub-summary.ts'
import { createHubTable, type HubTable } from './hub-table.ts'
import type { Reading, RegistryNews } from './registry.ts'
import { SUMMARY_MAX_AGE_MS } from './registry.ts'
import { readSummary } from './summary-bytes.ts'

/** Age from which the copy is read again. */
export const VIEW_AGE_MS = 3_000
/** A reading that takes longer is taken for lost. */
const READING_MS = 10_000

export type Keepers = ReadonlyMap<Jurisdiction, ReadonlySet<Jurisdiction>>

export interface HubViewDeps {
  readonly regions: readonly HubRegion[]
  /** For each place of records, the jurisdictions whose hubs may keep them there. */
  readonly keepers: Keepers
  /** Jurisdictions of the registries. */
  readonly homes: readonly Jurisdiction[]
  readonly nowMs: () => number
}

type Read = (home: Jurisdiction, since: Reading | null) => Promise<RegistryNews>

interface Progress {
  readonly reading: Reading
  /** When this epoch's first reading was made. */
  readonly sinceMs: number
  /** Whether hubs from before this epoch may still be in the table. */
  readonly hasOld: boolean
}

export interface HubView {
  readonly table: HubTable
  /** Whether no reading has ended yet, and the first began less than this time ago. */
  isNew(forMs: number): boolean
  /** Whether the summaries are older than this, and nobody is reading them. */
  isOlderThan(ageMs: number): boolean
  /** Reads what has changed. @returns errors of the registries that did not answer; their hubs stay as they were known */
  refresh(read: Read): Promise<readonly unknown[]>
}

export function createHubView({ regions, keepers, homes, nowMs }: HubViewDeps): HubView {
  const table = createHubTable(
    regions,
    (storage, jurisdiction) => keepers.get(storage)?.has(jurisdiction) ?? false,
  )
  const progress = new Map<Jurisdiction, Progress>()
  let readAtMs = -Infinity
  let startedAtMs = -Infinity
  let firstMs = Infinity

  const apply = (home: Jurisdiction, news: RegistryNews): void => {
    const before = progress.get(home)
    const isSame = before?.reading.epoch === news.epoch
    const summaries = news.summaries.flatMap(readable)
    table.apply(summaries)
    table.forget(news.gone)
    const isComplete = news.isWhole && isSame
    if (isComplete) {
      const alive = new Set(summaries.map(({ hub }) => hub))
      const isOfHome = ({ summary }: { readonly summary: HubSummary }) =>
        homes.length === 1 || summary.jurisdiction === home
      table.forget(
        [...table.all()].filter(isOfHome).flatMap(({ name }) => (alive.has(name) ? [] : [name])),
      )
    }
    progress.set(home, {
      reading: { epoch: news.epoch, at: news.at },
      sinceMs: isSame ? before.sinceMs : nowMs(),
      hasOld: isSame ? before.hasOld && !isComplete : before !== undefined,
    })
  }
  /** Null also once after a restart of the registry, when all hubs that still live have written to it. */
  const sinceOf = (home: Jurisdiction): Reading | null => {
    const known = progress.get(home)
    if (known === undefined) return null
    const isSettled = known.hasOld && nowMs() - known.sinceMs > SUMMARY_MAX_AGE_MS
    return isSettled ? { epoch: known.reading.epoch, at: -1 } : known.reading
  }
  return {
    table,
    isNew: (forMs) => readAtMs === -Infinity && nowMs() - firstMs < forMs,
    isOlderThan(ageMs) {
      return nowMs() - readAtMs > ageMs && nowMs() - startedAtMs > Math.min(ageMs, READING_MS)
    },
    async refresh(read) {
      startedAtMs = nowMs()
      firstMs = Math.min(firstMs, startedAtMs)
      const answers = await Promise.allSettled(
        homes.map(async (home) => apply(home, await read(home, sinceOf(home)))),
      )
      readAtMs = nowMs()
      return answers.flatMap((answer) => (answer.status === 'rejected' ? [answer.reason] : []))
    },
  }
}

/** A summary of another version is left out: its hub counts as unknown. */
function readable(bytes: Uint8Array): HubSummary[] {
  try {
    return [readSummary(bytes)]
  } catch (error) {
    if (errorCode(error) !== 'invalid_request') throw error
    return []
  }
}
