/** Many jobs over one work stream, with random sizes, cancels, slow readers and a cut. A failure prints its seed. */
import * as fc from 'fast-check'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { serveWork } from '#p2p/work/work-server.ts'
import { errorCode } from '#shared/base/errors.ts'
import { silentLog } from '#shared/base/log.ts'
import { createWorkBench, type WorkBench } from '#test/support/hub/memory-network.ts'
import { until } from '#test/support/poll.ts'
import { createTestHandler, seededBytes } from '#test/support/hub/work.ts'
import { Canceller } from '#p2p/stream/cancellation.ts'
import { JOB_WINDOW_BYTES } from '#p2p/stream/credit.ts'

let bench: WorkBench
beforeAll(async () => void (bench = await createWorkBench()))
afterAll(() => bench.close())

const turns = async (count: number) => {
  for (let turn = 0; turn < count; turn += 1) await new Promise((done) => setImmediate(done))
}

const job = fc.record({
  sizeBytes: fc.oneof(fc.nat(2_000), fc.nat(400_000), fc.nat(2 * JOB_WINDOW_BYTES)),
  pieces: fc.integer({ min: 1, max: 8 }),
  startAfterTurns: fc.nat(40),
  cancelAfterTurns: fc.option(fc.nat(60), { freq: 3 }),
  readerTurns: fc.nat(5),
  nodeTurns: fc.nat(20),
})
const plan = fc.record({
  jobs: fc.array(job, { minLength: 1, maxLength: 8 }),
  cutAfterTurns: fc.option(fc.nat(150), { freq: 3 }),
})

type Plan = typeof plan extends fc.Arbitrary<infer T> ? T : never

async function play({ jobs, cutAfterTurns }: Plan): Promise<void> {
  let running = 0
  const { hubEnd, nodeEnd } = await bench.node.openStream()
  const handler = createTestHandler(
    bench.node.identity,
    async (offer, payload, { emit, signal }) => {
      running += 1
      try {
        const planned = jobs.find(({ sizeBytes }) => sizeBytes === payload.byteLength)
        await turns(planned?.nodeTurns ?? 0)
        const step = Math.ceil(payload.byteLength / (planned?.pieces ?? 1)) || 1
        for (let at = 0; at < payload.byteLength; at += step)
          await emit(payload.subarray(at, at + step).map((byte) => 255 - byte))
        signal.throwIfAborted()
        return await bench.node.identity.result(offer, payload.byteLength)
      } finally {
        running -= 1
      }
    },
  )
  const served = serveWork(nodeEnd, handler, { log: silentLog }).catch(() => {})
  const link = await bench.open(hubEnd)

  const outcomes = jobs.map(async (planned, at) => {
    const payload = seededBytes(planned.sizeBytes, at)
    const offer = await bench.offer(payload)
    await turns(planned.startAfterTurns)
    const canceller = new Canceller()
    const { cancelAfterTurns } = planned
    if (cancelAfterTurns !== null)
      void turns(cancelAfterTurns).then(() => canceller.cancel(undefined))
    const chunks: Uint8Array[] = []
    try {
      await link.run(offer, payload, {
        cancellation: canceller,
        onChunk: async (bytes) => {
          await turns(planned.readerTurns)
          chunks.push(bytes)
        },
      })
    } catch (error) {
      const code = errorCode(error)
      if (code === 'cancelled' && canceller.isCancelled) return
      if (code === 'node_lost' && cutAfterTurns !== null) return
      throw error
    }
    expect(
      Buffer.compare(
        Buffer.concat(chunks),
        payload.map((byte) => 255 - byte),
      ),
    ).toBe(0)
  })
  if (cutAfterTurns !== null) void turns(cutAfterTurns).then(() => nodeEnd.abort(new Error('cut')))
  await Promise.all(outcomes)
  expect(link.inFlight()).toBe(0)
  await link.close()
  await served
  await until('every handler to let go', () => running === 0)
}

describe('the work stream', () => {
  test('[W4] [W7] [W9] every job ends once: whole, cancelled by its caller, or lost with the stream', async () => {
    await fc.assert(fc.asyncProperty(plan, play), {
      numRuns: 60,
      interruptAfterTimeLimit: 40_000,
      markInterruptAsFailure: false,
    })
  })
})
