/** Nodes that give jobs back rank behind those that answer, and starve no other node. */
import { afterEach, describe, expect, it } from 'vitest'
import { AppError, type ErrorCode } from '#shared/base/errors.ts'
import { digestBytes } from '#shared/receipt/receipt.ts'
import {
  createHubBench,
  kernelRequest,
  type RunJob,
  type TestHubBench,
} from '#test/support/hub/hub.ts'
import { createHubInTime, type HubInTime } from '#test/support/hub/hub-in-time.ts'
import { compiled } from '#test/support/hub/policies.ts'
import { createRandom } from '#test/support/random.ts'

const EU = compiled({ compute: { allow: ['EU'], deny: [] } })
const payload = new Uint8Array(64).fill(7)
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

/** A float in [0, 1) from the seed. */
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

/** Sends requests at once. @returns the node that answered each, or the error's code */
const ends = async (bench: TestHubBench, count: number) =>
  Promise.all(
    Array.from({ length: count }, () =>
      ask(bench).then(
        ({ outcome }) => outcome.nodeId as string,
        ({ code }: AppError) => code as string,
      ),
    ),
  )

/** Gives jobs back with this code while `isRefusing`, and otherwise runs them. */
const givesBack =
  (code: ErrorCode, isRefusing: () => boolean): RunJob =>
  (_offer, _payload, next) =>
    isRefusing() ? Promise.reject(new AppError(code, 'no')) : next()

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

  it('do not starve a node that has answered more, even if each has answered such work once', async () => {
    const bench = await open(13)
    let isHonest = true
    for (let i = 0; i < LIARS; i += 1)
      await bench.join({
        country: 'DE',
        run: givesBack('too_large', () => !isHonest),
      })
    await ends(bench, LIARS)
    const honest = await bench.join({ country: 'FR', maxJobs: 2 })
    const { work } = await kernelRequest(EU, payload)
    const member = bench.directory.get(honest.nodeId)
    for (let i = 0; i < 8; i += 1)
      if (member !== undefined) bench.directory.recordService(member, work, { ms: 1, units: 3 })
    isHonest = false
    const seen: string[] = []
    for (let i = 0; i < REQUESTS; i += 4) seen.push(...(await ends(bench, 4)))
    expect(seen).toEqual(seen.map(() => honest.nodeId))
  })

  it.each<{ code: ErrorCode; seed: number }>([
    { code: 'too_large', seed: 1 },
    { code: 'no_capacity', seed: 2 },
  ])('with $code do not keep a node from its first answer (seed $seed)', async ({ code, seed }) => {
    const bench = await open(seed)
    const { run } = liar(code)
    for (let i = 0; i < LIARS; i += 1) await bench.join({ country: 'DE', run })
    const honest = await bench.join({ country: 'FR' })
    // Three of them per request: by then each has refused once.
    for (let i = 0; i < Math.ceil(LIARS / 3); i += 1) await ends(bench, 1)
    for (let i = 0; i < 5; i += 1) expect(await ends(bench, 1)).toEqual([honest.nodeId])
  })

  it('cannot end a job while a node that has answered such work is only briefly full', async () => {
    const bench = await open(3)
    let isFull = false
    await bench.join({
      country: 'FR',
      run: givesBack('no_capacity', () => isFull),
    })
    await ask(bench)
    const { run } = liar('too_large')
    for (let i = 0; i < 3; i += 1) await bench.join({ country: 'DE', run })
    isFull = true
    for (let i = 0; i < 4; i += 1) expect(await ends(bench, 1)).toEqual(['no_capacity'])
  })
})

describe('[N11] a node that gives a job back for a reason', () => {
  it('is believed if all nodes say the same, and none of them is penalised', async () => {
    const bench = await open(4)
    let isWrong = false
    for (const country of ['DE', 'FR', 'NL'])
      await bench.join({
        country,
        maxJobs: 1,
        run: givesBack('invalid_request', () => isWrong),
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

  it('gets work again after it was briefly full, even at its first job', async () => {
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

  it('still gets all other work when its grant refuses one kernel', async () => {
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
