/** A hub whose nodes are counts by kind. Its summary is the one that its nodes would have one by one. */
import { NodeId } from '#shared/base/ids.ts'
import { PROVIDERS } from '#shared/job/job.ts'
import type { EvidenceClass, NodeTrust } from '#shared/law/policy.ts'
import type { HubName } from '#worker/summary/hub-region.ts'
import {
  ANY_KERNEL,
  offerKey,
  sketch,
  type HubSummary,
  type NodeGroup,
} from '#worker/summary/hub-summary.ts'
import type { NodeKind, RequestKind } from './world.ts'

const PEER = NodeId.parse('12D3KooWHFrmLWTTDD4NodngtRMEVYgxrsDMp4F9iSwYntZ9WjHa')
const HALF = `0x${'17'.repeat(32)}` as const
/** Share of a hub's slots by which its load differs from its region's, about. */
const NOISE = 0.15
const NOISE_KEPT = 0.97

/** Every node of the simulation runs its models on a GPU. */
const PROVIDER = PROVIDERS.indexOf('webgpu')

interface Tally {
  readonly key: number
  freeSlots: number
  readonly providers: number[]
  readonly countries: Map<number, { warm: number; cold: number }>
}

export interface CountedHubOptions {
  /** Index of its region. */
  readonly region: number
  readonly kinds: readonly NodeKind[]
  readonly capacity: number
}

export class CountedHub {
  readonly name: HubName
  readonly region: number
  readonly capacity: number
  readonly #kinds: readonly NodeKind[]
  readonly #counts: Uint16Array
  /** Slots that are taken by requests which the simulation does not follow. */
  readonly #busy: Uint16Array
  /** Slots that are taken by requests of the simulation. */
  readonly #jobs: Uint16Array
  #noise = 0
  nodes = 0
  isDraining = false

  constructor(name: HubName, options: CountedHubOptions) {
    this.name = name
    this.region = options.region
    this.#kinds = options.kinds
    this.capacity = options.capacity
    this.#counts = new Uint16Array(options.kinds.length)
    this.#busy = new Uint16Array(options.kinds.length)
    this.#jobs = new Uint16Array(options.kinds.length)
  }

  /** @returns whether there was a seat */
  add(kind: number): boolean {
    if (this.nodes >= this.capacity || this.isDraining) return false
    this.#counts[kind] = this.count(kind) + 1
    this.nodes += 1
    return true
  }

  count(kind: number): number {
    return this.#counts[kind] ?? 0
  }

  /** Removes a node that is drawn at random. @returns its kind; undefined for an empty hub */
  removeOne(random: () => number): number | undefined {
    let at = Math.floor(random() * this.nodes)
    const kind = this.#counts.findIndex((count) => {
      at -= count
      return at < 0
    })
    if (kind < 0) return undefined
    this.#counts[kind] = this.count(kind) - 1
    this.nodes -= 1
    return kind
  }

  /** Draws how many slots are taken, around this share. */
  drift(load: number, random: () => number): void {
    const step = Math.sqrt(1 - NOISE_KEPT ** 2) * NOISE * Math.sqrt(12)
    this.#noise = NOISE_KEPT * this.#noise + step * (random() - 0.5)
    const share = Math.max(0, Math.min(1, load * (1 + this.#noise)))
    for (let kind = 0; kind < this.#counts.length; kind += 1) {
      const count = this.count(kind)
      const slots = count * (this.#kinds[kind]?.maxJobs ?? 0)
      // Few slots are taken as a whole or not at all, so the fraction is drawn.
      this.#busy[kind] = slots === 0 ? 0 : Math.floor(slots * share + random())
    }
  }

  free(kind: number): number {
    const slots = this.count(kind) * (this.#kinds[kind]?.maxJobs ?? 0)
    return Math.max(0, slots - (this.#busy[kind] ?? 0) - (this.#jobs[kind] ?? 0))
  }

  /** Takes a job as a hub would: on an allowed node that can run it, or that would load its model. */
  take(
    { warm, cold }: RequestKind,
    { warmOnly, random }: { readonly warmOnly: boolean; readonly random: () => number },
  ): { readonly kind: number; readonly waits: boolean } | undefined {
    const has = (kind: number) => this.count(kind) > 0
    const fitting = warm.filter(has)
    const able = fitting.length > 0 || warmOnly ? fitting : cold.filter(has)
    const free = able.map((kind) => this.free(kind))
    let at = random() * free.reduce((sum, each) => sum + each, 0)
    const chosen = able.find((_, index) => (at -= free[index] ?? 0) < 0) ?? able[0]
    if (chosen === undefined) return undefined
    const waits = this.free(chosen) === 0
    this.#jobs[chosen] = (this.#jobs[chosen] ?? 0) + 1
    return { kind: chosen, waits }
  }

  giveBack(kind: number): void {
    this.#jobs[kind] = Math.max(0, (this.#jobs[kind] ?? 0) - 1)
  }

  summary(atMs: number): HubSummary {
    let [all, free, active] = [0, 0, 0]
    for (let kind = 0; kind < this.#counts.length; kind += 1) {
      all += this.count(kind) * (this.#kinds[kind]?.maxJobs ?? 0)
      free += this.free(kind)
      active += this.#jobs[kind] ?? 0
    }
    const { name: hub, jurisdiction } = this.name
    return {
      hub,
      jurisdiction,
      atMs: Math.floor(atMs),
      isDraining: this.isDraining,
      seats: { free: this.capacity - this.nodes, all: this.capacity },
      slots: { free, all },
      jobs: { active, waiting: 0 },
      peerId: PEER,
      hubKey: { x: HALF, y: HALF },
      groups: this.#groups(),
      features: 0,
    }
  }

  #groups(): NodeGroup[] {
    const groups = new Map<string, GroupTally>()
    for (const [index, kind] of this.#kinds.entries()) {
      const count = this.count(index)
      if (count === 0) continue
      const { trust, evidence, voucher, country } = kind.facts
      const key = `${trust} ${evidence}`
      const group = groups.get(key) ?? newGroup(trust, evidence)
      groups.set(key, group)
      group.countries.set(country, (group.countries.get(country) ?? 0) + count)
      if (voucher !== null) group.vouchers.add(voucher)
      const models = kind.models.map((digest) => offerKey(digest))
      for (const work of [...models, ...(kind.kernels === 'any' ? [ANY_KERNEL] : [])]) {
        const tally = tallyOf(group, work)
        tally.freeSlots += this.free(index)
        offeredIn(tally, country).warm += count
        if (work !== ANY_KERNEL)
          tally.providers[PROVIDER] = (tally.providers[PROVIDER] ?? 0) + count
      }
      for (const digest of kind.loadable)
        offeredIn(tallyOf(group, offerKey(digest)), country).cold += count
    }
    return [...groups.values()].map(({ offers, vouchers, ...group }) => ({
      ...group,
      isQuarantined: false,
      vouchers: sketch(vouchers),
      networks: 0,
      offers: [...offers.values()],
    }))
  }
}

interface GroupTally {
  readonly trust: NodeTrust
  readonly evidence: EvidenceClass
  readonly countries: Map<number, number>
  readonly vouchers: Set<string>
  readonly offers: Map<number, Tally>
}

function newGroup(trust: NodeTrust, evidence: EvidenceClass): GroupTally {
  return { trust, evidence, countries: new Map(), vouchers: new Set(), offers: new Map() }
}

function tallyOf({ offers }: GroupTally, key: number): Tally {
  const none = { key, freeSlots: 0, providers: PROVIDERS.map(() => 0), countries: new Map() }
  const tally: Tally = offers.get(key) ?? none
  offers.set(key, tally)
  return tally
}

function offeredIn({ countries }: Tally, country: number): { warm: number; cold: number } {
  const offered = countries.get(country) ?? { warm: 0, cold: 0 }
  countries.set(country, offered)
  return offered
}
