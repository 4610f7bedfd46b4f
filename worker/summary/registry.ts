/**
 * The registry of one jurisdiction: the last summary of each hub, in memory only. Hubs write to it, and isolates of
 * the Worker read what has changed. After a restart it has no summaries until the hubs write again, within
 * {@link SUMMARY_EVERY_MS}; isolates keep what they know. It stores the names of the hubs, one row for each.
 */
import { openSchema, type Schema } from '#worker/platform/schema.ts'
import type { DurableStorage } from '#worker/platform/storage.ts'
import { nodesOf, type HubSummary } from './hub-summary.ts'
import type { RegionView } from './place-node.ts'
import { createMarkBoard } from './mark-board.ts'
import type { NodeMark } from './node-mark.ts'
import { readSummary } from './summary-bytes.ts'

const REGISTRY_SCHEMA: Schema = {
  store: 'registry',
  migrations: [['CREATE TABLE hubs (name TEXT PRIMARY KEY)']],
}

/** A hub writes at least this often, even if nothing has changed. */
export const SUMMARY_EVERY_MS = 20_000
/** A hub that has not written for this long is left out. */
export const SUMMARY_MAX_AGE_MS = 3 * SUMMARY_EVERY_MS
/** Hubs of one jurisdiction. */
const HUBS_KEPT = 2_000
/** Departures that readers are told of; one that has missed more reads everything. */
const DEPARTURES_KEPT = 500

export interface RegistryApi {
  /** @param summary by `packSummary` @throws {AppError} invalid_request */
  publish(summary: Uint8Array, told?: MarksTold): Promise<RegionNews>
  /** A hub that drains has no nodes and holds no receipts any more: it need not be asked again. */
  leave(hub: string): Promise<void>
  /** @param since where the last reading ended; null for everything */
  read(since: Reading | null): Promise<RegistryNews>
  /** Names of all hubs that have published and not left. A hub that is silent may still hold receipts. */
  hubs(): Promise<string[]>
}

/** What a hub learns about its region when it publishes. */
export interface RegionNews extends RegionView {
  /** Whether another hub of the region has a seat. */
  readonly hasSeats: boolean
  /** Marks by other hubs of the jurisdiction that it has not heard yet, the oldest first. */
  readonly marks: readonly NodeMark[]
  /** Where these end; the next publication names it. */
  readonly marksRead: Reading
}

export interface MarksTold {
  readonly marks: readonly NodeMark[]
  /** Where the last reading of marks ended. */
  readonly since: Reading | null
}

/** How far a reader has read. */
export interface Reading {
  /** Another after a restart, which forgets everything. */
  readonly epoch: string
  readonly at: number
}

export interface RegistryNews extends Reading {
  /** Whether these are all summaries. A reader then forgets the hubs that are not among them, unless the epoch is new. */
  readonly isWhole: boolean
  readonly summaries: readonly Uint8Array[]
  readonly gone: readonly string[]
}

interface Entry {
  readonly summary: HubSummary
  readonly bytes: Uint8Array
  readonly at: number
  readonly heardAtMs: number
}

export interface Registry {
  publish(bytes: Uint8Array, told?: MarksTold): RegionNews
  leave(hub: string): void
  read(since: Reading | null): RegistryNews
  hubs(): string[]
}

interface RegistryDeps {
  /** Differs after each restart. */
  readonly epoch: string
  readonly storage: DurableStorage
  readonly nowMs: () => number
}

export function createRegistry({ epoch, storage, nowMs }: RegistryDeps): Registry {
  storage.transactionSync(() => openSchema(storage, REGISTRY_SCHEMA))
  /** Those heard longest ago come first. */
  const entries = new Map<string, Entry>()
  const board = createMarkBoard(epoch)
  const departures: { readonly hub: string; readonly at: number }[] = []
  let last = 0
  const drop = (hub: string): void => {
    entries.delete(hub)
    last += 1
    departures.push({ hub, at: last })
    if (departures.length > DEPARTURES_KEPT) departures.shift()
  }
  const sweep = (): void => {
    for (const [hub, { heardAtMs }] of entries) {
      if (entries.size <= HUBS_KEPT && nowMs() - heardAtMs <= SUMMARY_MAX_AGE_MS) return
      drop(hub)
    }
  }
  return {
    publish(bytes, told) {
      const summary = readSummary(bytes)
      const { hub } = summary
      const before = entries.get(hub)
      if (before === undefined)
        storage.sql.exec('INSERT OR IGNORE INTO hubs (name) VALUES (?)', hub)
      if (before === undefined || before.summary.atMs <= summary.atMs) {
        last += 1
        entries.delete(hub)
        entries.set(hub, { summary, bytes: bytes.slice(), at: last, heardAtMs: nowMs() })
      }
      sweep()
      const all = [...entries.values()].map((each) => each.summary)
      const region = all.filter((each) => regionName(each.hub) === regionName(hub))
      return { ...newsFor(summary, region), ...board.exchange(hub, told) }
    },
    leave(hub) {
      storage.sql.exec('DELETE FROM hubs WHERE name = ?', hub)
      if (entries.has(hub)) drop(hub)
    },
    hubs: () =>
      storage.sql
        .exec('SELECT name FROM hubs ORDER BY name')
        .toArray()
        .map((row) => String(row['name'])),
    read(since) {
      sweep()
      const oldest = departures.length < DEPARTURES_KEPT ? 0 : (departures[0]?.at ?? 0)
      const isWhole = since === null || since.epoch !== epoch || since.at < oldest || since.at < 0
      const changed = [...entries.values()].filter(({ at }) => isWhole || at > since.at)
      return {
        epoch,
        at: last,
        isWhole,
        summaries: changed.map(({ bytes }) => bytes),
        gone: isWhole
          ? []
          : departures.flatMap(({ hub, at }) => (at > since.at && !entries.has(hub) ? [hub] : [])),
      }
    },
  }
}

function newsFor(
  own: HubSummary,
  region: readonly HubSummary[],
): Omit<RegionNews, 'marks' | 'marksRead'> {
  const open = region.filter(({ isDraining }) => !isDraining)
  return {
    open: open.length,
    nodes: region.reduce((sum, hub) => sum + nodesOf(hub), 0),
    hasSeats: open.some(({ hub, seats }) => hub !== own.hub && seats.free > 0),
  }
}

function regionName(hub: string): string {
  return hub.slice(0, hub.lastIndexOf('-'))
}
