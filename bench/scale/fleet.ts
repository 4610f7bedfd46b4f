/** The hubs of the simulated deployment, and the registries that they publish to. */
import { createLog } from '#shared/base/log.ts'
import type { Jurisdiction } from '#shared/law/policy.ts'
import { createPublisher, type Publisher } from '#worker/hub/network/publisher.ts'
import { findHub, hubName, type HubName } from '#worker/summary/hub-region.ts'
import { surplusNodes } from '#worker/summary/place-node.ts'
import { createRegistry, type RegionNews, type Registry } from '#worker/summary/registry.ts'
import { packSummary } from '#worker/summary/summary-bytes.ts'
import { createSqliteStorage } from '#test/support/sqlite-storage.ts'
import { CountedHub } from './counted-hub.ts'
import type { Timeline } from './timeline.ts'
import { activity, createRegions, HOMES, kindsOf, type NodeKind, type Region } from './world.ts'

/** Share of the seats that are taken at the quietest hour and at the busiest. */
const TAKEN = [0.55, 0.9] as const
/** Share of the slots that are taken at those hours. */
const LOAD = [0.3, 0.8] as const
/** Time in which a node that was sent away asks again. */
const REJOIN_MS = 1_000

export interface FleetDeps {
  /** Hubs at the start, about. */
  readonly hubs: number
  /** Seats of a hub. */
  readonly capacity: number
  readonly timeline: Timeline
  readonly random: () => number
  readonly onPublish: (bytes: number) => void
  /** A hub has sent a node of this kind away. */
  readonly onMove: (kind: number) => void
}

export interface OpenHub {
  readonly hub: CountedHub
  readonly publisher: Publisher
  readonly openedMs: number
  drainsSinceMs: number | undefined
}

export class Fleet {
  readonly regions: readonly Region[]
  readonly kinds: readonly NodeKind[]
  readonly registries = new Map<Jurisdiction, { registry: Registry; restarts: number }>()
  /** Time until a hub that drained was empty. */
  readonly drainedMs: number[] = []
  hourUtc = 0
  readonly #deps: FleetDeps
  readonly #hubs = new Map<string, OpenHub>()
  /** Those that do not drain, by region. */
  readonly #open: OpenHub[][]
  readonly #storages = new Map(HOMES.map((home) => [home, createSqliteStorage()]))
  readonly #log = createLog({ level: 'error', write: () => {} })

  constructor(deps: FleetDeps) {
    this.#deps = deps
    this.regions = createRegions(deps.hubs)
    this.kinds = this.regions.flatMap(({ countries }) => countries.flatMap(kindsOf))
    this.#open = this.regions.map(() => [])
    this.restartRegistries()
    this.#openAll()
  }

  /** The first hub writes its summary once more. */
  publishOne(): void {
    const [open] = this.#hubs.values()
    if (open === undefined) return
    const { name } = open.hub
    const bytes = packSummary(open.hub.summary(this.#deps.timeline.nowMs))
    this.registries.get(name.jurisdiction)?.registry.publish(bytes)
  }

  /** They forget everything but the names of the hubs. */
  restartRegistries(): void {
    for (const home of HOMES) this.#startRegistry(home)
  }

  close(): void {
    for (const { publisher } of this.#hubs.values()) publisher.stop()
    for (const storage of this.#storages.values()) storage.close()
  }

  get size(): number {
    return this.#hubs.size
  }

  get nodes(): number {
    let sum = 0
    for (const { hub } of this.#hubs.values()) sum += hub.nodes
    return sum
  }

  get(name: string): CountedHub | undefined {
    return this.#hubs.get(name)?.hub
  }

  openHubs(region: number): readonly OpenHub[] {
    return this.#open[region] ?? []
  }

  taken(region: Region, hourUtc: number): number {
    return TAKEN[0] + (TAKEN[1] - TAKEN[0]) * activity(region, hourUtc)
  }

  loadOf(at: number): number {
    const region = this.regions[at]
    const share = region === undefined ? 0 : activity(region, this.hourUtc)
    return LOAD[0] + (LOAD[1] - LOAD[0]) * share
  }

  drawKind({ countries }: Region): number {
    const country = countries[Math.floor(this.#deps.random() * countries.length)]
    let at = this.#deps.random()
    const index = this.kinds.findIndex((kind) => kind.country === country && (at -= kind.share) < 0)
    return Math.max(0, index)
  }

  leave(region: number): void {
    const open = this.openHubs(region)
    const one = open[Math.floor(this.#deps.random() * open.length)]
    if (one?.hub.removeOne(this.#deps.random) !== undefined) one.publisher.changed()
  }

  drainOneEach(): void {
    for (const at of this.regions.keys()) {
      const open = this.#open[at]?.shift()
      if (open === undefined) continue
      open.hub.isDraining = true
      open.drainsSinceMs = this.#deps.timeline.nowMs
      open.publisher.changed()
    }
  }

  /** A node asks a hub for a seat; a hub that was never called before is opened by that. */
  enter(
    name: HubName,
    kind: number,
  ): { readonly hasSeat: boolean; readonly isFirstOfItsSort: boolean } {
    const { hub, publisher } =
      this.#hubs.get(name.name) ?? this.#openHub(name, this.#regionOf(name))
    const isFirstOfItsSort = !this.#hasSort(hub, kind)
    const hasSeat = hub.add(kind)
    if (hasSeat) publisher.changed()
    return { hasSeat, isFirstOfItsSort }
  }

  #hasSort(hub: CountedHub, kind: number): boolean {
    const sort = this.kinds[kind]?.sort
    return this.kinds.some((each, index) => each.sort === sort && hub.count(index) > 0)
  }

  #startRegistry(home: Jurisdiction): void {
    const storage = this.#storages.get(home)
    if (storage === undefined) return
    const restarts = (this.registries.get(home)?.restarts ?? -1) + 1
    const nowMs = () => this.#deps.timeline.nowMs
    const registry = createRegistry({ epoch: `${home} ${restarts}`, storage, nowMs })
    this.registries.set(home, { registry, restarts })
  }

  #openAll(): void {
    for (const [at, region] of this.regions.entries()) {
      const nodes = Math.round(this.taken(region, 0) * this.#deps.capacity)
      for (let shard = 0; shard < region.hubs; shard += 1) {
        const { hub } = this.#openHub(hubName(region, shard), at)
        for (let n = 0; n < nodes; n += 1) hub.add(this.drawKind(region))
      }
    }
  }

  #openHub(name: HubName, region: number): OpenHub {
    const { capacity } = this.#deps
    const hub = new CountedHub(name, { region, kinds: this.kinds, capacity })
    const publisher = createPublisher({
      summarise: () => {
        hub.drift(this.loadOf(region), this.#deps.random)
        return hub.summary(this.#deps.timeline.nowMs)
      },
      publish: (bytes) => this.#publish(name, bytes),
      onNews: (news) => this.#heed(name, news),
      clock: {
        nowMs: () => this.#deps.timeline.nowMs,
        after: (delayMs, fire) => {
          let isOff = false
          this.#deps.timeline.after(delayMs, () => {
            if (!isOff) fire()
          })
          return () => void (isOff = true)
        },
      },
      random: this.#deps.random,
      log: this.#log,
    })
    const open: OpenHub = {
      hub,
      publisher,
      openedMs: this.#deps.timeline.nowMs,
      drainsSinceMs: undefined,
    }
    this.#hubs.set(name.name, open)
    this.#open[region]?.push(open)
    return open
  }

  #publish(name: HubName, bytes: Uint8Array): Promise<RegionNews> {
    const found = this.registries.get(name.jurisdiction)
    if (found === undefined) throw new Error(`no registry for ${name.name}`)
    this.#deps.onPublish(bytes.length)
    // The publisher plans its next check some microtasks later: no event may happen before.
    this.#deps.timeline.wait(new Promise((resolve) => setImmediate(resolve)))
    return Promise.resolve(found.registry.publish(bytes))
  }

  /** What a hub does with the news of its region: it sends its surplus away. */
  #heed({ name }: HubName, news: RegionNews): void {
    const open = this.#hubs.get(name)
    if (open === undefined || !news.hasSeats) return
    const { hub, publisher, drainsSinceMs } = open
    const { nodes, isDraining } = hub
    for (let left = surplusNodes({ nodes, isDraining }, news); left > 0; left -= 1) {
      const kind = hub.removeOne(this.#deps.random)
      if (kind === undefined) break
      publisher.changed()
      this.#deps.timeline.after(this.#deps.random() * REJOIN_MS, () => this.#deps.onMove(kind))
    }
    if (!isDraining || hub.nodes > 0 || drainsSinceMs === undefined) return
    this.drainedMs.push(this.#deps.timeline.nowMs - drainsSinceMs)
    publisher.stop()
    this.#hubs.delete(name)
  }

  #regionOf({ name }: HubName): number {
    const found = findHub(this.regions, name)
    if (found === undefined) throw new Error(`no region has ${name}`)
    return this.regions.indexOf(found.region)
  }
}
