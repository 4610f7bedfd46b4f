/** An isolate's copy of many hubs at rest: its memory, and the time of a choice and of a placement in it. */
import { runInNewContext } from 'node:vm'
import { setFlagsFromString } from 'node:v8'
import { chooseHubs } from '#worker/summary/choose-hub.ts'
import { placeNode } from '#worker/summary/place-node.ts'
import type { HubTable } from '#worker/summary/hub-table.ts'
import { uniform } from '../tail/nodes.ts'
import { Fleet } from './fleet.ts'
import { Isolate } from './isolate.ts'
import { Timeline } from './timeline.ts'
import { requestsOf, type RequestKind } from './world.ts'

const COPIES = 8

/** A fleet whose hubs have each published once. */
export class StillFleet {
  readonly requests: readonly RequestKind[]
  readonly random = uniform(7)
  readonly #timeline = new Timeline()
  readonly #fleet: Fleet

  private constructor(hubs: number, capacity: number) {
    const { random } = this
    const timeline = this.#timeline
    const none = () => {}
    this.#fleet = new Fleet({ hubs, capacity, timeline, random, onPublish: none, onMove: none })
    const { regions, kinds } = this.#fleet
    this.requests = regions.flatMap((region) => requestsOf(region, kinds))
  }

  static async open(hubs: number, capacity: number): Promise<StillFleet> {
    const fleet = new StillFleet(hubs, capacity)
    await fleet.#timeline.runFor(0.5)
    return fleet
  }

  get hubs(): number {
    return this.#fleet.size
  }

  /** @returns a new isolate that has read all, and what it read */
  async isolate(): Promise<{ readonly isolate: Isolate; readonly bytes: number }> {
    const { regions, registries } = this.#fleet
    const nowMs = () => this.#timeline.nowMs
    const isolate = new Isolate({ regions, registries, nowMs, home: 0 })
    return { isolate, bytes: await isolate.read() }
  }

  /** Heap of one copy in which every kind of request was chosen for, in bytes. */
  async copyBytes(): Promise<number> {
    const collect = collector()
    const copies: Isolate[] = []
    collect()
    const before = process.memoryUsage()
    for (let n = 0; n < COPIES; n += 1) {
      const { isolate } = await this.isolate()
      for (const request of this.requests) this.choose(isolate, request)
      copies.push(isolate)
    }
    collect()
    const after = process.memoryUsage()
    const grown = after.heapUsed - before.heapUsed + (after.arrayBuffers - before.arrayBuffers)
    return copies.length === 0 ? 0 : grown / copies.length
  }

  choose({ view, order }: Isolate, request: RequestKind): string {
    const [turn] = chooseHubs(view.table, request, { random: this.random, order }).take(1)
    return turn?.hub.name ?? ''
  }

  place({ view, order }: Isolate, country: number, capacity: number): string {
    const { random } = this
    return placeNode(view.table, { country, order }, { random, capacity })[0]?.name ?? ''
  }

  /** As when news have come: the lists for each kind of request are made anew. */
  forgetLists(table: HubTable): void {
    table.apply([])
  }

  /** Publishes a hub's summary again. */
  publishAgain(): void {
    this.#fleet.publishOne()
  }
}

function collector(): () => void {
  setFlagsFromString('--expose-gc')
  return runInNewContext('gc') as () => void
}
