/** Jobs that are late on one node and get a second one beside it. */
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { newJobId } from '#shared/base/ids.ts'
import { countryBit } from '#shared/law/region.ts'
import type { JobOffer } from '#p2p/stream/messages.ts'
import type { DispatchRequest } from '#worker/protocols/hub.ts'
import { createHubInTime, type HubInTime } from '#test/support/hub/hub-in-time.ts'
import { kernelRequest, type TestMember } from '#test/support/hub/hub.ts'
import { placeIn, standsAt } from '#test/support/hub/place.ts'
import { compiled } from '#test/support/hub/policies.ts'
import { createRandom } from '#test/support/random.ts'

const EU = compiled({ compute: { allow: ['EU'], deny: [] } })
const EU_BITS = ['DE', 'FR', 'NL'].map(countryBit)
const payload = new Uint8Array([1, 2, 3, 4])
const inverted = new Uint8Array([254, 253, 252, 251])

let timed: HubInTime
/** Jobs of the receipts that the hub kept. */
let paid: string[]
beforeEach(async () => {
  timed = await createHubInTime()
  const put = timed.outbox.put.bind(timed.outbox)
  paid = []
  timed.outbox.put = (hubKey, receipts) => {
    paid.push(...receipts.map(({ ticket }) => ticket.jobId))
    put(hubKey, receipts)
  }
})
afterEach(() => timed.close())

const ask = (change: Partial<DispatchRequest> = {}) =>
  timed.ask(EU, payload, { timeoutMs: 30_000, ...change })

const idOf = ({ nodeId }: { readonly nodeId: string }) =>
  timed.directory.get(nodeId)?.presence.nodeId ?? null

/** Two nodes with enough answers that the hub knows when a job is late, and has something to spend. */
async function joinTwo(
  options: { takesMs?: (offer: JobOffer) => number; drip?: () => Uint8Array } = {},
) {
  let takesMs = (_offer: JobOffer) => 100
  const { drip } = options
  const first = await timed.joinSlow({
    country: 'DE',
    takesMs: (offer) => takesMs(offer),
    ...(drip === undefined ? {} : { drip }),
  })
  const second = await timed.joinSlow({ country: 'FR', takesMs: options.takesMs ?? (() => 200) })
  for (let job = 0; job < 150; job += 1)
    await timed.pass(ask(job % 10 === 0 ? { nodeId: idOf(second) } : {}))
  const asked = () => [first.asked() - before[0], second.asked() - before[1]]
  const before = [first.asked(), second.asked()] as const
  paid = []
  return {
    first,
    second,
    asked,
    /** Sets the times of the first node's next jobs. */
    slow: (ms: number | ((offer: JobOffer) => number)) =>
      void (takesMs = typeof ms === 'number' ? () => ms : ms),
  }
}

describe('[N13] a job that is late on its node', () => {
  it('is answered by a second node, and the first one’s run is cancelled and not paid', async () => {
    const { first, second, asked, slow } = await joinTwo()
    slow(20_000)
    const sentMs = timed.clock.nowMs()
    const { outcome, payload: answer } = await timed.pass(ask())
    expect(answer).toEqual(inverted)
    expect(outcome).toMatchObject({ nodeId: second.nodeId, attempts: 2 })
    expect(timed.clock.nowMs() - sentMs).toBeLessThan(400)
    expect(asked()).toEqual([1, 1])
    await timed.pass(timed.sleep(30_000))
    expect(paid).toHaveLength(1)
    const member = timed.directory.get(first.nodeId)
    expect(member?.link.inFlight()).toBe(0)
    // Being late once is no offence.
    expect(timed.directory.views((await kernelRequest(EU, payload)).work, 3)).toMatchObject([
      { isSuspect: false },
      { isSuspect: false },
    ])
  })

  it('is answered by the first node if that is still first, and the second one is not paid', async () => {
    const { first, asked, slow } = await joinTwo()
    slow(180)
    const { outcome } = await timed.pass(ask())
    expect(outcome).toMatchObject({ nodeId: first.nodeId, attempts: 1 })
    expect(asked()).toEqual([1, 1])
    await timed.pass(timed.sleep(30_000))
    expect(paid).toHaveLength(1)
  })

  it('is paid once when both nodes answer at one moment', async () => {
    let endsMs: number | undefined
    const takesMs = () => (endsMs === undefined ? 200 : endsMs - timed.clock.nowMs())
    const { asked, slow } = await joinTwo({ takesMs })
    slow(() => {
      endsMs = timed.clock.nowMs() + 400
      return 400
    })
    const jobId = newJobId()
    await timed.pass(ask({ jobId }))
    expect(asked()).toEqual([1, 1])
    await timed.pass(timed.sleep(30_000))
    expect(paid).toEqual([jobId])
  })

  it('is answered although the first node leaves, or gives the job back, while the second has it', async () => {
    const { second, slow } = await joinTwo()
    slow(() => {
      throw new Error('no')
    })
    const { outcome } = await timed.pass(ask())
    expect(outcome).toMatchObject({ nodeId: second.nodeId, attempts: 2 })
    expect(paid).toHaveLength(1)
  })

  it('gets no second node that the policy excludes, or that has moved out of the policy', async () => {
    const { second, asked, slow } = await joinTwo()
    const american = await timed.joinSlow({ country: 'US', takesMs: () => 1 })
    const member = timed.directory.get(second.nodeId)
    Object.assign(member ?? {}, { evidence: standsAt(placeIn('US')) })
    slow(3_000)
    const { outcome } = await timed.pass(ask())
    expect(outcome.attempts).toBe(1)
    expect(asked()).toEqual([1, 0])
    expect(american.asked()).toBe(0)
  })

  it('gets no second node if only one may take it', async () => {
    const { first, asked, slow } = await joinTwo()
    slow(3_000)
    await timed.pass(ask({ nodeId: idOf(first) }))
    expect(asked()).toEqual([1, 0])
  })

  it('gets no second node once the caller has part of the answer', async () => {
    let drip = new Uint8Array()
    const { asked, slow } = await joinTwo({ drip: () => drip })
    slow(3_000)
    drip = payload
    const heads: string[] = []
    const sink = {
      begin: ({ nodeId }: { nodeId: string }) => void heads.push(nodeId),
      push: () => Promise.resolve(),
    }
    const request = await kernelRequest(EU, payload, { stream: true, timeoutMs: 30_000 })
    const { signal } = new AbortController()
    await timed
      .pass(timed.dispatcher.stream(request, payload, { signal, sink }))
      .catch(() => undefined)
    expect(heads).toHaveLength(1)
    expect(asked()).toEqual([1, 0])
  })

  it('is ended on the second node once the first begins to answer a stream', async () => {
    let secondMs = 200
    let drip = new Uint8Array()
    const { second, asked, slow } = await joinTwo({ takesMs: () => secondMs, drip: () => drip })
    slow(20_000)
    secondMs = 5_000
    const sink = { begin: () => {}, push: () => Promise.resolve() }
    const request = await kernelRequest(EU, payload, { stream: true, timeoutMs: 30_000 })
    const { signal } = new AbortController()
    const jobsOfSecond = () => timed.directory.get(second.nodeId)?.link.inFlight()
    const seen: (number | undefined)[] = []
    timed.clock.after(900, () => {
      seen.push(jobsOfSecond())
      drip = payload
    })
    timed.clock.after(3_000, () => void seen.push(jobsOfSecond()))
    const streamed = timed.dispatcher.stream(request, payload, { signal, sink })
    // The first node's answer is wrong in the end, and no other node may continue it.
    await expect(timed.pass(streamed)).rejects.toMatchObject({ code: 'node_lost' })
    expect(asked()).toEqual([1, 1])
    expect(seen).toEqual([1, 0])
    expect(paid).toEqual([])
  })

  it('gets no second node while the hub itself is behind, since the answer may be there', async () => {
    const { asked, slow } = await joinTwo()
    slow(180)
    timed.clock.after(100, () => timed.clock.skip(70))
    const { outcome } = await timed.pass(ask())
    expect(outcome.attempts).toBe(1)
    expect(asked()).toEqual([1, 0])
  })

  it('gets no second node beyond the budget', async () => {
    const { asked, slow } = await joinTwo()
    slow(300)
    await timed.pass(ask())
    await timed.pass(ask())
    await timed.pass(ask())
    const [, seconds = 0] = asked()
    expect(seconds).toBeGreaterThan(0)
    expect(seconds).toBeLessThan(3)
  })
})

describe('[N13] late jobs, over random arrivals, stragglers and moves', () => {
  it.each([1, 2, 3])('are paid once, on nodes that the policy allows (seed %i)', async (seed) => {
    const random = createRandom(seed)
    const offers = new Map<string, JobOffer[]>()
    const joined: TestMember[] = []
    for (const country of ['DE', 'FR', 'NL', 'US']) {
      const takesMs = (offer: JobOffer) => {
        const { jobId } = offer.ticket
        offers.set(jobId, [...(offers.get(jobId) ?? []), offer])
        return (80 + random.below(40)) * (random.chance(0.05) ? 30 : 1)
      }
      joined.push(await timed.joinSlow({ country, takesMs, maxJobs: 8 }))
    }
    const move = () => {
      const at = random.below(3)
      const member = timed.directory.get(joined[at]?.nodeId ?? '')
      const country = random.chance(0.3) ? 'US' : (['DE', 'FR', 'NL'][at] ?? 'DE')
      Object.assign(member ?? {}, { evidence: standsAt(placeIn(country)) })
    }
    const asked: string[] = []
    const answered: string[] = []
    const send = async () => {
      await timed.sleep(random.below(60_000))
      if (random.chance(0.1)) move()
      const jobId = newJobId()
      asked.push(jobId)
      await ask({ jobId }).then(
        () => answered.push(jobId),
        () => undefined,
      )
    }
    await timed.pass(Promise.all(Array.from({ length: 400 }, send)))
    await timed.pass(timed.sleep(60_000))
    expect(paid.toSorted()).toEqual(answered.toSorted())
    expect(answered.length).toBeGreaterThan(300)
    const tickets = [...offers.values()].map((all) => all.map(({ ticket }) => ticket))
    expect(tickets.flat().every(({ place }) => EU_BITS.includes(place.country))).toBe(true)
    for (const all of tickets) {
      expect(new Set(all.map(({ attempt }) => attempt)).size).toBe(all.length)
      expect(new Set(all.map(({ nodeId }) => nodeId)).size).toBe(all.length)
    }
    const seconds = tickets.filter((all) => all.length > 1).length
    expect(seconds).toBeGreaterThan(0)
  })
})
