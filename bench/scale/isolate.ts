/** An isolate of the Worker: the real view of the hubs, read from the real registries. */
import type { Jurisdiction } from '#shared/law/policy.ts'
import { orderRegions } from '#worker/summary/hub-region.ts'
import { createHubView, type HubView } from '#worker/summary/hub-view.ts'
import type { Registry, RegistryNews } from '#worker/summary/registry.ts'
import { HOMES, KEEPERS, type Region } from './world.ts'

export interface IsolateDeps {
  readonly regions: readonly Region[]
  /** Index of the region that it stands in. */
  readonly home: number
  readonly registries: ReadonlyMap<Jurisdiction, { readonly registry: Registry }>
  readonly nowMs: () => number
}

export class Isolate {
  readonly view: HubView
  /** Indexes of the regions, nearest first. */
  readonly order: readonly number[]
  readonly home: number
  isReading = false
  readonly #deps: IsolateDeps
  /** Nodes that joined since the last reading that knew of them. */
  #awaited: { readonly hub: string; readonly joinedMs: number; readonly known: () => void }[] = []

  constructor(deps: IsolateDeps) {
    const { regions, home, nowMs } = deps
    this.#deps = deps
    this.home = home
    this.view = createHubView({ regions, keepers: KEEPERS, homes: HOMES, nowMs })
    this.order = orderRegions(regions, regions[home]?.anchor)
  }

  /** @returns bytes of the summaries that it read */
  async read(): Promise<number> {
    let bytes = 0
    const errors = await this.view.refresh((home, since) => {
      const found = this.#deps.registries.get(home)
      if (found === undefined) throw new Error(`no registry for ${home}`)
      const news = found.registry.read(since)
      bytes += bytesOf(news)
      return Promise.resolve(news)
    })
    for (const error of errors) throw error
    this.#awaited = this.#awaited.filter(({ hub, joinedMs, known }) => {
      const atMs = this.view.table.get(hub)?.summary.atMs ?? -Infinity
      if (atMs < joinedMs) return true
      known()
      return false
    })
    return bytes
  }

  /** Calls `known` when a summary that the hub wrote after this time has been read. */
  await(hub: string, joinedMs: number, known: () => void): void {
    this.#awaited.push({ hub, joinedMs, known })
  }
}

function bytesOf({ summaries, gone }: RegistryNews): number {
  return [...summaries, ...gone].reduce((sum, { length }) => sum + length, 0)
}
