/** Kernels in another process, one at a time: a failing one costs no other job. */
import { expect, test } from 'vitest'
import type { DeviceEngine } from '#engine/create-engine.ts'
import { UNTAKEN_BYTES, type JobMessage, type JobReply } from '#engine/remote/messages.ts'
import { takeTurns } from '#engine/remote/kernel-turns.ts'
import { createRemoteJobs } from '#engine/remote/remote-jobs.ts'
import { serveJobs } from '#engine/remote/serve-jobs.ts'
import { AppError, toWireError } from '#shared/base/errors.ts'
import type { Answer } from '#shared/job/job.ts'
import { HANG_RULE } from '#shared/kernels/rules.ts'
import { kernelJob } from '#test/support/engine/engine-jobs.ts'

const ANSWER: Answer = {
  outputs: [],
  provider: 'webgpu',
  adapter: { name: 'test', isSoftware: true },
  computeMs: 1,
}
const { work, payload } = kernelJob({ wgsl: 'fn f() {}', buffers: [] })
const settle = () => new Promise<void>((resolve) => setTimeout(resolve))

/** Engines that take over from one another, and what each was sent. */
function createEngines() {
  const engines: { jobs: ReturnType<typeof createRemoteJobs>; sent: JobMessage[] }[] = []
  const open = () => {
    const sent: JobMessage[] = []
    const say = (message: JobMessage) => void sent.push(message)
    engines.push({ jobs: createRemoteJobs({ say, onHung: () => {} }), sent })
  }
  open()
  const run = takeTurns(async () => {
    const last = engines.at(-1)
    if (last === undefined) throw new Error('none is open')
    return last.jobs
  })
  const ask = (signal = new AbortController().signal) =>
    run(work, payload, { signal, emit: async () => {} })
  return { engines, open, ask }
}

test('[U9] the job that hung its engine gets its own error, and the waiting one goes to the next engine', async () => {
  const { engines, open, ask } = createEngines()
  const ended = expect(ask()).rejects.toMatchObject({
    code: 'node_timeout',
    meta: { rule: HANG_RULE },
  })
  const behind = ask()
  await settle()
  const [first] = engines
  expect(first?.sent.map(({ type }) => type)).toEqual(['run'])
  const hang = new AppError('node_timeout', 'It hangs.', { meta: { rule: HANG_RULE } })
  first?.jobs.hear({ type: 'error', job: 1, error: toWireError(hang) })
  await settle()
  expect(first?.sent).toHaveLength(1)
  open()
  first?.jobs.lose(new AppError('node_lost', 'Its device was lost.'))
  await ended
  await settle()
  const [, second] = engines
  expect(second?.sent.map(({ type }) => type)).toEqual(['run'])
  second?.jobs.hear({ type: 'answer', job: 1, answer: ANSWER })
  expect(await behind).toEqual(ANSWER)
})

test('[U9] a caller may leave at once, and the next job begins when the engine has finished the old one', async () => {
  const { engines, ask } = createEngines()
  const leaving = new AbortController()
  const left = ask(leaving.signal)
  const behind = ask()
  await settle()
  leaving.abort()
  await expect(left).rejects.toMatchObject({ code: 'cancelled' })
  await settle()
  const [engine] = engines
  expect(engine?.sent.map(({ type }) => type)).toEqual(['run', 'cancel'])
  const word = new AppError('cancelled', 'The caller cancelled the job.')
  engine?.jobs.hear({ type: 'error', job: 1, error: toWireError(word) })
  await settle()
  engine?.jobs.hear({ type: 'answer', job: 2, answer: ANSWER })
  expect(await behind).toEqual(ANSWER)
})

test('the next job begins at the first bytes of an answer, however slowly they are read', async () => {
  const { engines, ask } = createEngines()
  const slow = ask()
  const behind = ask()
  await settle()
  const [engine] = engines
  engine?.jobs.hear({ type: 'bytes', job: 1, bytes: new Uint8Array(4) })
  await settle()
  expect(engine?.sent.map(({ type }) => type)).toEqual(['run', 'run'])
  for (const job of [2, 1]) engine?.jobs.hear({ type: 'answer', job, answer: ANSWER })
  expect(await Promise.all([slow, behind])).toEqual([ANSWER, ANSWER])
})

/** Both sides of an engine without a carrier between them; `run` is the device's part. */
function createPair(run: (emit: (sizeBytes: number) => Promise<void>) => Promise<void>) {
  const [sent, replies]: [JobMessage[], JobReply[]] = [[], []]
  const engine = {
    kernels: 'any',
    async run(_work, _payload, { emit }) {
      await run((sizeBytes) => emit(new Uint8Array(sizeBytes)))
      return ANSWER
    },
    idle: () => Promise.resolve(),
  } satisfies Pick<DeviceEngine, 'kernels' | 'run' | 'idle'>
  const take = serveJobs({
    engine: () => engine as unknown as DeviceEngine,
    say(reply) {
      replies.push(reply as JobReply)
      queueMicrotask(() => jobs.hear(reply as JobReply))
    },
  })
  const jobs = createRemoteJobs({
    say(message) {
      sent.push(message)
      queueMicrotask(() => take(message))
    },
    onHung: () => {},
  })
  return { jobs, sent, replies }
}

test('[G20] a short answer takes one message to the engine and two back', async () => {
  const { jobs, sent, replies } = createPair((emit) => emit(1_024))
  const signal = new AbortController().signal
  expect(await jobs.run(work, payload, { signal, emit: async () => {} })).toEqual(ANSWER)
  await settle()
  expect(sent.map(({ type }) => type)).toEqual(['run'])
  expect(replies.map(({ type }) => type)).toEqual(['bytes', 'answer'])
})

test('[G20] an engine is never further ahead of its reader than the bound and one piece, and comes to its end', async () => {
  const piece = 3_000
  let emitted = 0
  const { jobs } = createPair(async (emit) => {
    for (let turn = 0; turn < 100; turn += 1) {
      emitted += piece
      await emit(piece)
    }
  })
  let [taken, furthest] = [0, 0]
  const answered = jobs.run(work, payload, {
    signal: new AbortController().signal,
    async emit(bytes) {
      await settle()
      furthest = Math.max(furthest, emitted - taken)
      taken += bytes.length
    },
  })
  expect(await answered).toEqual(ANSWER)
  expect(taken).toBe(100 * piece)
  expect(furthest).toBeGreaterThan(UNTAKEN_BYTES)
  // The engine hears of what was taken in steps of the bound.
  expect(furthest).toBeLessThanOrEqual(2 * UNTAKEN_BYTES + piece)
})

test('a job that cannot be sent fails alone and is forgotten', async () => {
  const jobs = createRemoteJobs({
    say() {
      throw new AppError('too_large', 'The message is too large.')
    },
    onHung: () => {},
  })
  let isFree = false
  const ended = jobs.run(work, payload, {
    signal: new AbortController().signal,
    emit: async () => {},
    onFree: () => (isFree = true),
  })
  await expect(ended).rejects.toMatchObject({ code: 'too_large' })
  expect(isFree).toBe(true)
})
