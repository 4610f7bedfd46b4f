/** Nodes that send bytes and never answer. Bytes are no answer; in a stream only text is. */
import { afterEach, describe, expect, it } from 'vitest'
import type { AppError } from '#shared/base/errors.ts'
import { encodeTextEvent, type TextEvent } from '#shared/job/text.ts'
import { TELLER, textRequest } from '#test/support/hub/hub.ts'
import { createHubInTime, type HubInTime } from '#test/support/hub/hub-in-time.ts'
import { compiled } from '#test/support/hub/policies.ts'
import { createTextEngine } from '#test/support/hub/text-engine.ts'
import { createRandom } from '#test/support/random.ts'

const EU = compiled({ compute: { allow: ['EU'], deny: [] } })
const payload = new Uint8Array(64).fill(7)
const inverted = payload.map((byte) => 255 - byte)
const never = new AbortController().signal
const REQUESTS = 40

let hub: HubInTime | undefined
afterEach(() => hub?.close())

async function openInTime(seed: number): Promise<HubInTime> {
  const random = createRandom(seed)
  hub = await createHubInTime(() => random.below(1_000) / 1_000)
  return hub
}

describe('[N10] nodes that drip bytes and never answer', () => {
  it.each([7, 8, 9])('cost no job its answer, and are disconnected (seed %i)', async (seed) => {
    const timed = await openInTime(seed)
    const honest = await timed.joinSlow({ country: 'FR', maxJobs: 4, takesMs: () => 100 })
    await timed.pass(timed.ask(EU, payload))
    const drip = new Uint8Array(1)
    const takesMs = () => Infinity
    for (let i = 0; i < 3; i += 1)
      await timed.joinSlow({ country: 'DE', maxJobs: 8, takesMs, drip })
    for (let wave = 0; wave < 4; wave += 1) {
      const answers = await timed.pass(
        Promise.all(Array.from({ length: REQUESTS / 4 }, () => timed.ask(EU, payload))),
      )
      for (const { outcome, payload: answer } of answers) {
        expect(outcome.nodeId).toBe(honest.nodeId)
        expect(answer).toEqual(inverted)
      }
      await timed.pass(timed.sleep(150_000))
    }
    expect(timed.directory.members().map(({ admission }) => admission.nodeId)).toEqual([
      honest.nodeId,
    ])
  })
})

const STORY: TextEvent[] = [
  { type: 'delta', text: 'once', tokens: [1] },
  { type: 'end', finish: 'stop', promptTokens: 1 },
]
const delta = (text: string, tokens: number[]) => encodeTextEvent({ type: 'delta', text, tokens })

const teller = createTextEngine([TELLER], async (write) => {
  for (const event of STORY) await write(event)
})

describe('[N10] nodes that drip a stream of text', () => {
  /** Asks for one streamed text. @returns which node began it for the reader, and which ended it */
  const stream = async (timed: HubInTime) => {
    const request = await textRequest(EU, payload, { maxTokens: 64, timeoutMs: 30_000 })
    const begun: string[] = []
    const sink = {
      begin: ({ nodeId }: { readonly nodeId: string }) => void begun.push(nodeId),
      push: () => Promise.resolve(),
    }
    const ended = await timed.dispatcher.stream(request, payload, { signal: never, sink }).then(
      ({ nodeId }) => nodeId as string,
      ({ code }: AppError) => code as string,
    )
    return { begun, ended }
  }
  const streams = (timed: HubInTime, count: number) =>
    timed.pass(Promise.all(Array.from({ length: count }, () => stream(timed))))
  const start = async (seed: number, drip: Uint8Array) => {
    const timed = await openInTime(seed)
    const honest = await timed.joinSlow({
      country: 'FR',
      maxJobs: 4,
      takesMs: () => 100,
      engine: teller,
    })
    await streams(timed, 1)
    const dripper = await timed.joinSlow({
      country: 'DE',
      maxJobs: 8,
      takesMs: () => Infinity,
      engine: teller,
      drip,
    })
    return { timed, honest, dripper }
  }

  it.each([
    ['half an event', new TextEncoder().encode('{'), 10],
    ['events without text', delta('', []), 11],
  ])('of %s do not begin it: another node answers it whole', async (_what, drip, seed) => {
    const { timed, honest, dripper } = await start(seed, drip)
    for (let wave = 0; wave < 4; wave += 1) {
      for (const { begun, ended } of await streams(timed, 8)) {
        expect(ended).toBe(honest.nodeId)
        expect(begun).toEqual([honest.nodeId])
      }
      await timed.pass(timed.sleep(150_000))
    }
    expect(timed.directory.get(dripper.nodeId)).toBeUndefined()
    expect(timed.directory.barredMs(dripper.nodeId)).toBeGreaterThan(0)
  })

  it('of a letter a second keep what they began, are asked last, and are disconnected', async () => {
    const { timed, honest, dripper } = await start(12, delta('a', [1]))
    const seen: { readonly begun: string[]; readonly ended: string }[] = []
    for (let wave = 0; wave < 4; wave += 1) {
      seen.push(...(await streams(timed, 8)))
      await timed.pass(timed.sleep(150_000))
    }
    const kept = seen.filter(({ begun }) => begun.includes(dripper.nodeId))
    expect(kept).toEqual(kept.map(() => ({ begun: [dripper.nodeId], ended: 'node_timeout' })))
    expect(kept.length).toBeLessThanOrEqual(2)
    const others = seen.filter((one) => !kept.includes(one))
    expect(others.map(({ ended }) => ended)).toEqual(others.map(() => honest.nodeId))
    expect(timed.directory.get(dripper.nodeId)).toBeUndefined()
  })
})
