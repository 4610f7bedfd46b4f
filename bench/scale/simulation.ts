/**
 * A day of many hubs, simulated. The summaries, their bytes, the registries, the isolates' copies, the choice of hubs,
 * the placement of nodes and the publishers are the Worker's own code. Nodes are counts by kind (`CountedHub`).
 *
 * The day is shown in pieces. Before each, the nodes of all regions are brought to the hour's number, uncounted.
 */
import { chooseHubs } from '#worker/summary/choose-hub.ts'
import type { HubName } from '#worker/summary/hub-region.ts'
import { VIEW_AGE_MS } from '#worker/summary/hub-view.ts'
import { placeNode } from '#worker/summary/place-node.ts'
import { uniform } from '../tail/nodes.ts'
import { Fleet, type OpenHub } from './fleet.ts'
import { Isolate } from './isolate.ts'
import { newPiece, type Day, type Piece } from './record.ts'
import { Timeline } from './timeline.ts'
import { activity, KEEPERS, requestsOf, type RequestKind } from './world.ts'

export interface DayPlan {
  readonly seed: number
  readonly hubs: number
  /** Seats of a hub. */
  readonly capacity: number
  readonly pieces: number
  /** Length of a piece, and of the time before it that is not counted. */
  readonly seconds: number
  readonly settleSeconds: number
  readonly isolates: number
  /** Requests a second of one isolate at the busiest hour. */
  readonly requests: number
}

/** Mean time that a node stays. */
const STAY_MS = 3 * 3_600_000
/** Mean time of a job on a node. */
const JOB_MS = 5_000
/** Time until the answer of a registry is there. */
const READING_MS = 100
/** Time in which a node that no hub took asks again. */
const REJOIN_MS = 1_000
/** Requests at the quietest hour, as a share of those at the busiest. */
const NIGHT = 0.2
const ADMISSION_ISOLATES = 4
/** Age from which admission reads the summaries again. */
const ADMISSION_AGE_MS = 1_000
/** Age from which it is counted how full a hub is that the simulation opened. */
const FILLING_MS = 120_000
const FIRST_READING_MS = 1_000

/** The same plan gives the same day. */
export function simulateDay(plan: DayPlan): Promise<Day> {
  return new Simulation(plan).run()
}

class Simulation {
  readonly isolates: Isolate[] = []
  readonly requests: readonly (readonly RequestKind[])[]
  readonly #plan: DayPlan
  readonly #random: () => number
  readonly #timeline = new Timeline()
  readonly #fleet: Fleet
  readonly #admissions: Isolate[] = []
  readonly #pieces: Piece[] = []
  readonly #times = {
    spreadPercent: [] as number[],
    openedPercent: [] as number[],
    knownMs: [] as number[],
    firstWorkMs: [] as number[],
  }
  readonly #orders: readonly (readonly number[])[]
  #moved = 0
  #piece = newPiece(0, 0)
  #isCounted = false

  constructor(plan: DayPlan) {
    this.#plan = plan
    this.#random = uniform(plan.seed)
    const { hubs, capacity } = plan
    this.#fleet = new Fleet({
      hubs,
      capacity,
      timeline: this.#timeline,
      random: this.#random,
      onPublish: (bytes) => {
        this.#piece.publications += Number(this.#isCounted)
        this.#piece.publishedBytes += this.#isCounted ? bytes : 0
      },
      onMove: (kind) => {
        this.#moved += 1
        this.#join(kind)
      },
    })
    const { regions, kinds } = this.#fleet
    this.requests = regions.map((region) => requestsOf(region, kinds))
    this.#orders = regions.map((_, at) => this.#newIsolate(at).order)
    for (let n = 0; n < plan.isolates; n += 1) this.isolates.push(this.#newIsolate(n))
    for (let n = 0; n < ADMISSION_ISOLATES; n += 1) this.#admissions.push(this.#newIsolate(n))
  }

  async run(): Promise<Day> {
    const { pieces, settleSeconds, seconds } = this.#plan
    this.#tick()
    await this.#timeline.runFor(5)
    for (let at = 0; at < pieces; at += 1) {
      this.#fleet.hourUtc = (at * 24) / pieces
      this.#piece = newPiece(this.#fleet.hourUtc, seconds)
      this.isolates[at % this.isolates.length] = this.#newIsolate(at)
      if (at % 8 === 5) this.#fleet.drainOneEach()
      this.#moveToHour(settleSeconds)
      await this.#timeline.runFor(settleSeconds)
      // A registry that has lost all meets isolates that know all, and one that is new.
      if (at % 8 === 3) {
        this.#fleet.restartRegistries()
        this.isolates[(at + 1) % this.isolates.length] = this.#newIsolate(at + 1)
      }
      this.#isCounted = true
      await this.#timeline.runFor(seconds)
      this.#isCounted = false
      this.#endPiece()
    }
    this.#fleet.close()
    const { drainedMs } = this.#fleet
    return { ...this.#times, drainedMs, pieces: this.#pieces, moved: this.#moved }
  }

  #newIsolate(n: number): Isolate {
    const { regions, registries } = this.#fleet
    const nowMs = () => this.#timeline.nowMs
    return new Isolate({ regions, registries, nowMs, home: n % regions.length })
  }

  /** Nodes join or leave until the regions have the hour's number. */
  #moveToHour(seconds: number): void {
    for (const [at, region] of this.#fleet.regions.entries()) {
      const target = Math.round(
        region.hubs * this.#plan.capacity * this.#fleet.taken(region, this.#fleet.hourUtc),
      )
      const present = this.#fleet.openHubs(at).reduce((sum, { hub }) => sum + hub.nodes, 0)
      const missing = target - present
      for (let n = 0; n < Math.abs(missing); n += 1)
        this.#timeline.after(this.#random() * seconds * 800, () =>
          missing > 0 ? this.#join(this.#fleet.drawKind(region)) : this.#fleet.leave(at),
        )
    }
  }

  /** Plans one second of nodes that come and go, and of requests. */
  #tick(): void {
    for (const [at, region] of this.#fleet.regions.entries()) {
      const nodes = this.#fleet.openHubs(at).reduce((sum, { hub }) => sum + hub.nodes, 0)
      const exact = (nodes * 1_000) / STAY_MS
      for (let n = Math.floor(exact + this.#random()); n > 0; n -= 1) {
        this.#timeline.after(this.#random() * 1_000, () => this.#fleet.leave(at))
        this.#timeline.after(this.#random() * 1_000, () => this.#join(this.#fleet.drawKind(region)))
      }
    }
    for (const [at, { home }] of this.isolates.entries())
      for (let n = this.#requestsIn(home); n > 0; n -= 1)
        this.#timeline.after(this.#random() * 1_000, () => this.#request(at))
    this.#timeline.after(1_000, () => this.#tick())
  }

  #requestsIn(at: number): number {
    const region = this.#fleet.regions[at]
    const share = region === undefined ? 0 : activity(region, this.#fleet.hourUtc)
    return Math.round(this.#plan.requests * (NIGHT + (1 - NIGHT) * share))
  }

  #joinSoon(kind: number): void {
    this.#timeline.after(this.#random() * REJOIN_MS, () => this.#join(kind))
  }

  #join(kind: number): void {
    const isolate = this.#admissions[Math.floor(this.#random() * ADMISSION_ISOLATES)]
    if (isolate === undefined) return
    const isCounted = this.#isCounted
    this.#piece.admissions += Number(isCounted)
    if (!isolate.view.isOlderThan(ADMISSION_AGE_MS)) return this.#enter(isolate, kind, isCounted)
    const entering = isolate.read().then((bytes) => {
      this.#piece.admissionReadings += Number(isCounted)
      this.#piece.admissionBytes += isCounted ? bytes : 0
      this.#enter(isolate, kind, isCounted)
    })
    this.#timeline.wait(entering)
  }

  #enter({ view }: Isolate, kind: number, isCounted: boolean): void {
    const country = this.#fleet.kinds[kind]?.facts.country ?? 0
    const home = this.#fleet.regions.findIndex(({ countries }) =>
      countries.includes(this.#fleet.kinds[kind]?.country ?? ''),
    )
    const order = this.#orders[home]
    const { capacity } = this.#plan
    const named = placeNode(view.table, { country, order }, { random: this.#random, capacity })
    for (const [index, name] of named.entries()) {
      const { hasSeat, isFirstOfItsSort } = this.#fleet.enter(name, kind)
      if (!hasSeat) continue
      this.#piece.secondTries += isCounted ? index : 0
      if (isCounted) this.#follow(name, kind, isFirstOfItsSort)
      return
    }
    this.#joinSoon(kind)
  }

  /** Times until an isolate knows of a new node, and until the node works. */
  #follow({ name }: HubName, kind: number, isFirst: boolean): void {
    const joinedMs = this.#timeline.nowMs
    const isolate = this.isolates[Math.floor(this.#random() * this.isolates.length)]
    const load = this.#fleet.loadOf(this.#fleet.get(name)?.region ?? 0)
    // Jobs of its kind that arrive at the hub, for each free slot there.
    const jobsPerMs = ((load / (1 - load)) * (this.#fleet.kinds[kind]?.maxJobs ?? 1)) / JOB_MS
    const untilJobMs = -Math.log(1 - this.#random()) / jobsPerMs
    if (!isFirst) this.#times.firstWorkMs.push(untilJobMs)
    isolate?.await(name, joinedMs, () => {
      const knownMs = this.#timeline.nowMs - joinedMs
      this.#times.knownMs.push(knownMs)
      if (isFirst) this.#times.firstWorkMs.push(knownMs + untilJobMs)
    })
  }

  #request(at: number): void {
    const isolate = this.isolates[at]
    if (isolate === undefined) return
    if (isolate.view.isNew(FIRST_READING_MS)) {
      this.#timeline.wait(this.#readFor(isolate).then(() => this.#send(isolate)))
      return
    }
    this.#send(isolate)
    if (isolate.isReading || !isolate.view.isOlderThan(VIEW_AGE_MS)) return
    isolate.isReading = true
    this.#timeline.after(READING_MS, () => {
      isolate.isReading = false
      this.#timeline.wait(this.#readFor(isolate))
    })
  }

  async #readFor(isolate: Isolate): Promise<void> {
    const bytes = await isolate.read()
    if (!this.#isCounted) return
    this.#piece.readings += 1
    this.#piece.readBytes += bytes
  }

  #send({ view, order, home }: Isolate): void {
    const random = this.#random
    const request = this.#drawRequest(home)
    const piece = this.#isCounted ? this.#piece : newPiece(0, 0)
    piece.requests += 1
    let calls = 0
    for (const { hub: name, warmOnly } of chooseHubs(view.table, request, { random, order })) {
      calls += 1
      requireKeeper(name, request)
      const hub = this.#fleet.get(name.name)
      const taken = hub?.take(request, { warmOnly, random })
      if (hub === undefined || taken === undefined) continue
      piece.answered += 1
      piece.answeredByFirst += Number(calls === 1)
      piece.waits += Number(taken.waits)
      this.#timeline.after(-Math.log(1 - random()) * JOB_MS, () => hub.giveBack(taken.kind))
      break
    }
    piece.hubCalls += calls
  }

  #drawRequest(region: number): RequestKind {
    const requests = this.requests[region] ?? []
    let at = this.#random()
    const found = requests.find(({ share }) => (at -= share) < 0) ?? requests[0]
    if (found === undefined) throw new Error('a region without requests')
    return found
  }

  #endPiece(): void {
    for (const at of this.#fleet.regions.keys()) {
      const open = this.#fleet.openHubs(at)
      const old = open.filter(({ openedMs }) => openedMs === 0)
      const mean = meanNodes(old)
      const distances = old.map(({ hub }) => Math.abs(hub.nodes - mean))
      this.#times.spreadPercent.push((100 * Math.max(...distances)) / mean)
      for (const { hub, openedMs } of open)
        if (openedMs > 0 && this.#timeline.nowMs - openedMs > FILLING_MS)
          this.#times.openedPercent.push((100 * hub.nodes) / mean)
    }
    this.#piece.hubs = this.#fleet.size
    this.#piece.nodes = this.#fleet.nodes
    this.#pieces.push(this.#piece)
  }
}

function meanNodes(hubs: readonly OpenHub[]): number {
  return hubs.reduce((sum, { hub }) => sum + hub.nodes, 0) / hubs.length
}

/** A copy of the summaries may cost calls, and never leads a request past its policy. */
function requireKeeper({ name, jurisdiction }: HubName, { policy }: RequestKind): void {
  if (KEEPERS.get(policy.storage)?.has(jurisdiction) !== true)
    throw new Error(`${name} may not keep records of ${policy.storage}`)
}
