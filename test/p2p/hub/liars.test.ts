/** Nodes that end jobs without an answer, or say much and never answer: they rank behind those that answer, and starve nobody. */
import { afterEach, describe, expect, it } from 'vitest'
import type { Engine } from '#engine/engine.ts'
import { AppError, type ErrorCode } from '#shared/base/errors.ts'
import type { TextWork } from '#shared/job/job.ts'
import { encodeTextEvent, mostTextUnits, TEXT_OUTPUT, type TextEvent } from '#shared/job/text.ts'
import { digestBytes } from '#shared/receipt/receipt.ts'
import { createHubBench, kernelRequest, type TestHubBench } from '#test/support/hub/hub.ts'
import { createHubInTime, type HubInTime } from '#test/support/hub/hub-in-time.ts'
import { compiled } from '#test/support/hub/policies.ts'
import { createRandom } from '#test/support/random.ts'

const EU = compiled({ compute: { allow: ['EU'], deny: [] } })
const payload = new Uint8Array(64).fill(7)
const inverted = payload.map((byte) => 255 - byte)
const never = new AbortController().signal
const REQUESTS = 40
const LIARS = 10

const CODES: ErrorCode[] = [
  'no_capacity',
  'too_large',
  'invalid_request',
  'context_length_exceeded',
  'internal',
  'node_lost',
  'node_timeout',
  'residency_unsatisfiable',
]

let hub: TestHubBench | undefined
afterEach(() => hub?.close())

/** A float in [0, 1), the same for the same seed. */
function seeded(seed: number): () => number {
  const random = createRandom(seed)
  return () => random.below(1_000) / 1_000
}

async function open(seed: number): Promise<TestHubBench> {
  const random = seeded(seed)
  hub = await createHubBench([], Date.now, { random })
  return hub
}

async function openInTime(seed: number): Promise<HubInTime> {
  const timed = await createHubInTime(seeded(seed))
  hub = timed
  return timed
}

const ask = async ({ dispatcher }: TestHubBench, wgsl?: string, timeoutMs = 30_000) => {
  const request = await kernelRequest(EU, payload, { timeoutMs })
  if (wgsl === undefined || request.work.kind !== 'kernel')
    return dispatcher.dispatch(request, payload, never)
  const digest = await digestBytes(new TextEncoder().encode(wgsl))
  const work = { ...request.work, wgsl, digest }
  return dispatcher.dispatch({ ...request, work }, payload, never)
}

/** How each of so many requests at once ended: which node answered, or the code. */
const ends = async (bench: TestHubBench, count: number) =>
  Promise.all(
    Array.from({ length: count }, () =>
      ask(bench).then(
        ({ outcome }) => outcome.nodeId as string,
        ({ code }: AppError) => code as string,
      ),
    ),
  )

function liar(code: ErrorCode) {
  let asked = 0
  const run = () => {
    asked += 1
    return Promise.reject(new AppError(code, 'no'))
  }
  return { run, asked: () => asked }
}

describe('[N11] nodes that give every job back', () => {
  it.each(CODES.map((code, seed) => ({ code, seed })))(
    'with $code starve no node that answers, and are asked once each while it is free (seed $seed)',
    async ({ code, seed }) => {
      const bench = await open(seed)
      const honest = await bench.join({ country: 'FR', maxJobs: 2 })
      await ask(bench)
      const { run, asked } = liar(code)
      for (let i = 0; i < LIARS; i += 1) await bench.join({ country: 'DE', run })
      const seen: string[] = []
      for (let i = 0; i < REQUESTS / 2; i += 1) seen.push(...(await ends(bench, 1)))
      expect(asked()).toBeLessThanOrEqual(LIARS)
      seen.push(...(await ends(bench, REQUESTS / 2)))
      expect(seen).toEqual(seen.map(() => honest.nodeId))
      expect(seen).toHaveLength(REQUESTS)
    },
  )

  it.each<{ code: ErrorCode; seed: number }>([
    { code: 'too_large', seed: 1 },
    { code: 'no_capacity', seed: 2 },
  ])('with $code do not keep a node from its first answer (seed $seed)', async ({ code, seed }) => {
    const bench = await open(seed)
    const { run } = liar(code)
    for (let i = 0; i < LIARS; i += 1) await bench.join({ country: 'DE', run })
    const honest = await bench.join({ country: 'FR' })
    // Three of them a request: by then each has refused once.
    for (let i = 0; i < Math.ceil(LIARS / 3); i += 1) await ends(bench, 1)
    for (let i = 0; i < 5; i += 1) expect(await ends(bench, 1)).toEqual([honest.nodeId])
  })

  it('have no say while a node that has answered such work is only full for a moment', async () => {
    const bench = await open(3)
    let isFull = false
    await bench.join({
      country: 'FR',
      run: (_offer, _payload, next) =>
        isFull ? Promise.reject(new AppError('no_capacity', 'full')) : next(),
    })
    await ask(bench)
    const { run } = liar('too_large')
    for (let i = 0; i < 3; i += 1) await bench.join({ country: 'DE', run })
    isFull = true
    for (let i = 0; i < 4; i += 1) expect(await ends(bench, 1)).toEqual(['no_capacity'])
  })
})

describe('[N11] a node that gives a job back for a reason', () => {
  it('is believed when all say the same, and nothing is held against any of them', async () => {
    const bench = await open(4)
    let isWrong = false
    for (const country of ['DE', 'FR', 'NL'])
      await bench.join({
        country,
        maxJobs: 1,
        run: (_offer, _payload, next) =>
          isWrong ? Promise.reject(new AppError('invalid_request', 'line 3')) : next(),
      })
    const { work } = await kernelRequest(EU, payload)
    const measured = () => bench.directory.views(work, 3).filter(({ isMeasured }) => isMeasured)
    while (measured().length < 3) await ends(bench, 3)
    isWrong = true
    for (let i = 0; i < 10; i += 1) expect(await ends(bench, 1)).toEqual(['invalid_request'])
    isWrong = false
    expect((await ask(bench)).outcome.attempts).toBe(1)
    for (const view of bench.directory.views(work, 3))
      expect(view).toMatchObject({ isSuspect: false, isBehind: false })
  })

  it('has work again when it was full for a moment, even at its very first job', async () => {
    const timed = await openInTime(5)
    const first = await timed.joinSlow({ country: 'FR', maxJobs: 1, takesMs: () => 100 })
    await timed.pass(ask(timed))
    let isFull = true
    const full = await timed.joinSlow({
      country: 'DE',
      takesMs() {
        if (isFull) throw new AppError('no_capacity', 'full')
        return 100
      },
    })
    expect(new Set(await timed.pass(ends(timed, 4)))).toEqual(new Set([first.nodeId]))
    expect(full.asked()).toBe(1)
    isFull = false
    await timed.pass(timed.sleep(60_000))
    expect(new Set(await timed.pass(ends(timed, 4)))).toEqual(new Set([first.nodeId, full.nodeId]))
  })

  it('has all its other work when its grant refuses one kernel', async () => {
    const timed = await openInTime(6)
    const refused = '@compute @workgroup_size(1) fn main() { }'
    const digest = await digestBytes(new TextEncoder().encode(refused))
    const takesMs = () => 100
    await timed.joinSlow({ country: 'FR', maxJobs: 8, takesMs })
    await timed.pass(ask(timed, refused))
    const picky = await timed.joinSlow({
      country: 'DE',
      takesMs({ work }) {
        if ('digest' in work && work.digest === digest)
          throw new AppError('invalid_request', 'not this one')
        return 50
      },
    })
    for (let i = 0; i < 12; i += 1) await timed.pass(ends(timed, 2))
    for (let round = 0; round < 5; round += 1) {
      await timed.pass(Promise.all(Array.from({ length: 9 }, () => ask(timed, refused))))
      await timed.pass(timed.sleep(5_000))
      expect(await timed.pass(ends(timed, 8))).toContain(picky.nodeId)
    }
  })
})

describe('[N10] nodes that drip bytes and never answer', () => {
  it.each([7, 8, 9])('cost nobody an answer, and lose their places (seed %i)', async (seed) => {
    const timed = await openInTime(seed)
    const honest = await timed.joinSlow({ country: 'FR', maxJobs: 4, takesMs: () => 100 })
    await timed.pass(ask(timed))
    const drip = new Uint8Array(1)
    const takesMs = () => Infinity
    for (let i = 0; i < 3; i += 1)
      await timed.joinSlow({ country: 'DE', maxJobs: 8, takesMs, drip })
    for (let wave = 0; wave < 4; wave += 1) {
      const answers = await timed.pass(
        Promise.all(Array.from({ length: REQUESTS / 4 }, () => ask(timed, undefined, 10_000))),
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

const TELLER = { id: 'teller', digest: `0x${'5'.repeat(64)}` } as const
const STORY: TextEvent[] = [
  { type: 'delta', text: 'once', tokens: [1] },
  { type: 'end', finish: 'stop', promptTokens: 1 },
]
const delta = (text: string, tokens: number[]) => encodeTextEvent({ type: 'delta', text, tokens })

const teller: Engine = {
  adapter: { name: 'test cpu', isSoftware: true },
  models: [{ ...TELLER, provider: 'cpu', serviceMs: 1 }],
  kernels: [],
  async run(_work, _payload, { emit }) {
    const pieces = STORY.map(encodeTextEvent)
    for (const piece of pieces) await emit(piece)
    const sizeBytes = pieces.reduce((sum, { length }) => sum + length, 0)
    const outputs = [
      { name: TEXT_OUTPUT, datatype: 'UINT8' as const, shape: [sizeBytes], sizeBytes },
    ]
    return { outputs, provider: 'cpu', adapter: teller.adapter, computeMs: 1 }
  },
  close: () => Promise.resolve(),
}

describe('[N10] nodes that drip a stream of text', () => {
  /** Asks for one streamed text. @returns who began it for the reader, and who ended it */
  const stream = async (timed: HubInTime) => {
    const work: TextWork = {
      kind: 'text',
      model: TELLER.id,
      digest: TELLER.digest,
      inputBytes: payload.length,
      maxTokens: 64,
    }
    const units = mostTextUnits(payload.length, work.maxTokens)
    const change = { work, units, stream: true, timeoutMs: 30_000 }
    const request = await kernelRequest(EU, payload, change)
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
  ])('of %s begin none: another node tells it whole', async (_what, drip, seed) => {
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

  it('of a letter a second keep what they began to its end, are asked last, and lose their place', async () => {
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
