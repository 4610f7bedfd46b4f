/** The node's side of an engine process, with programs that break the pipe in its place. */
import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { encodeMessage } from '#engine/remote/pipe-frames.ts'
import { FROM_CHILD, type FromChild } from '#local-node/engine/engine-messages.ts'
import { startEngineProcess } from '#local-node/engine/engine-process.ts'
import { errorCode } from '#shared/base/errors.ts'
import { createLog } from '#shared/base/log.ts'
import type { Answer } from '#shared/job/job.ts'
import { kernelJob } from '#test/support/engine/engine-jobs.ts'

const SETUP = { role: 'kernels', device: 'auto', kernels: 'any', adapter: null } as const
const ANSWER: Answer = {
  outputs: [],
  provider: 'webgpu',
  adapter: { name: 'test', isSoftware: true },
  computeMs: 1,
}
const READY: FromChild = {
  type: 'ready',
  adapter: null,
  offer: undefined,
  kernels: 'any',
  features: [],
}
const JOB = kernelJob({ wgsl: 'fn f() {}', buffers: [] })

let folder: string
beforeAll(async () => void (folder = await mkdtemp(join(tmpdir(), 'littoral-engine-'))))
afterAll(() => rm(folder, { recursive: true }))

const bytesOf = (...messages: readonly FromChild[]) =>
  Buffer.concat(messages.flatMap((message) => encodeMessage(FROM_CHILD, message)))

/** Starts a program that gets ready, and writes `reply` for the first frame after the setup; then it runs `after`. */
async function startWith(reply: Uint8Array, after: string) {
  const program = join(folder, `${Math.random()}.mjs`)
  await writeFile(
    program,
    `import { Socket } from 'node:net'
const pipe = new Socket({ fd: 3, readable: true, writable: true })
const bytes = (hex) => Buffer.from(hex, 'hex')
let times = 0
pipe.on('close', () => process.exit(0))
pipe.on('data', () => {
  times += 1
  if (times === 1) pipe.write(bytes('${bytesOf(READY).toString('hex')}'))
  if (times === 2) pipe.write(bytes('${Buffer.from(reply).toString('hex')}'), () => { ${after} })
})
`,
  )
  const events: string[] = []
  const log = createLog({
    write: (line) => events.push((JSON.parse(line) as { event: string }).event),
  })
  const engine = await startEngineProcess(SETUP, { env: process.env, log, program })
  const run = () =>
    engine.run(JOB.work, JOB.payload, {
      signal: new AbortController().signal,
      emit: async () => {},
    })
  return { engine, events, run }
}

test('a job comes back over the pipe', async () => {
  const { engine, run } = await startWith(bytesOf({ type: 'answer', job: 1, answer: ANSWER }), '')
  expect(await run()).toEqual(ANSWER)
  engine.kill()
  await engine.ended
})

test('[G20] a process that dies in the middle of a frame loses its jobs, and nothing of the frame is taken', async () => {
  const half = bytesOf({ type: 'answer', job: 1, answer: ANSWER }).subarray(0, -5)
  const { engine, events, run } = await startWith(half, 'process.exit(1)')
  expect(await run().catch(errorCode)).toBe('node_lost')
  await engine.ended
  expect(events).toEqual([])
  expect(await run().catch(errorCode)).toBe('node_lost')
})

const OVERSIZED = bytesOf({ type: 'answer', job: 1, answer: ANSWER })
OVERSIZED.writeUInt32BE(FROM_CHILD.answer.mostBytes + 1, 0)

test.each([
  ['a frame over its bound', OVERSIZED],
  ['bytes that are no frame', Buffer.alloc(64, 0xff)],
])('[G20] a process that writes %s is ended, as after a crash', async (_, bytes) => {
  const { engine, events, run } = await startWith(bytes, '')
  expect(await run().catch(errorCode)).toBe('node_lost')
  await engine.ended
  expect(events).toEqual(['engine.pipe-broken'])
})
