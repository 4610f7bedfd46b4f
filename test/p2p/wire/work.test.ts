/** The held work stream over real libp2p connections: rules W1 to W12 of docs/design/network.md. */
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import type { Stream } from '@libp2p/interface'
import { Canceller, type Cancellation } from '#p2p/stream/cancellation.ts'
import type { JobResult } from '#p2p/stream/messages.ts'
import { failureOf } from '#node-core/job-failure.ts'
import { SilentNode } from '#p2p/work/job-call.ts'
import type { OpenWorkOptions, WorkLink } from '#p2p/work/work-client.ts'
import { serveWork } from '#p2p/work/work-server.ts'
import { AppError, errorCode, toAppError } from '#shared/base/errors.ts'
import type { Bytes32 } from '#shared/base/ids.ts'
import { LIMITS } from '#shared/base/limits.ts'
import { silentLog } from '#shared/base/log.ts'
import { createWorkBench, type WorkBench } from '#test/support/hub/memory-network.ts'
import { until } from '#test/support/poll.ts'
import {
  codeOf,
  createTestHandler,
  invertBytes,
  seededBytes,
  type Run,
  type TestHandler,
  type TestNode,
} from '#test/support/hub/work.ts'
import { JOB_WINDOW_BYTES } from '#p2p/stream/credit.ts'
import { FRAME_BYTES } from '#p2p/stream/frames.ts'
import { HEARTBEAT_TIMEOUT_MS } from '#p2p/work/heartbeat.ts'

let bench: WorkBench
beforeAll(async () => void (bench = await createWorkBench()))
afterAll(() => bench.close())

interface Joint {
  readonly link: WorkLink
  readonly handler: TestHandler
  /** The node's side: undefined after an orderly end, else the error's code. */
  readonly served: Promise<string | undefined>
  readonly nodeEnd: Stream
}

async function join(
  makeRun: (node: TestNode) => Run = invertBytes,
  options: Partial<OpenWorkOptions> = {},
  pending: Parameters<typeof createTestHandler>[2] = [],
): Promise<Joint> {
  const { hubEnd, nodeEnd } = await bench.node.openStream()
  const handler = createTestHandler(bench.node.identity, makeRun(bench.node.identity), pending)
  const served = serveWork(nodeEnd, handler, { log: silentLog }).then(
    () => undefined,
    (error: unknown) => errorCode(error),
  )
  const link = await bench.open(hubEnd, options)
  return { link, handler, served, nodeEnd }
}

interface Ran {
  readonly result: JobResult
  readonly output: Uint8Array
}

async function run(link: WorkLink, payload: Uint8Array, cancellation?: Cancellation): Promise<Ran> {
  const chunks: Uint8Array[] = []
  const offer = await bench.offer(payload)
  const result = await link.run(offer, payload, {
    cancellation: cancellation ?? new Canceller(),
    onChunk: (bytes) => void chunks.push(bytes),
  })
  return { result, output: new Uint8Array(Buffer.concat(chunks)) }
}

/** A run that ends when its job is taken away. @param told gets the reason */
const waits =
  (told: (reason: unknown) => void): Run =>
  async (_offer, _payload, { signal }) => {
    await new Promise((resolve) => signal.addEventListener('abort', resolve))
    told(signal.reason)
    throw signal.reason
  }

/** Begins a job of these bytes. @returns its end, and a way to cancel it */
async function begin(link: WorkLink, payload: Uint8Array) {
  const canceller = new Canceller()
  const job = codeOf(run(link, payload, canceller))
  await until('the job to be in flight', () => link.inFlight() === 1)
  return { job, canceller }
}

async function keptReceipts(count: number) {
  const offers = await Promise.all(Array.from({ length: count }, () => bench.offer(seededBytes(8))))
  const stored = await Promise.all(offers.map((offer) => bench.node.identity.receipt(offer)))
  return stored.map(({ receiptId, jobId, hub }) => ({ receiptId, jobId, hub }))
}

describe('one stream', () => {
  test('[W1] greets, measures the round trip and runs a job', async () => {
    const { link, handler, served } = await join()
    await until('a round trip', () => Number.isFinite(link.rttMs()))
    expect(link.rttMs()).toBeGreaterThan(0)
    const payload = seededBytes(10_000)
    const { output, result } = await run(link, payload)
    expect(output).toEqual(payload.map((byte) => 255 - byte))
    expect(result.answer.outputs[0]?.sizeBytes).toBe(10_000)
    expect(handler.welcomes).toHaveLength(1)
    expect(link.inFlight()).toBe(0)
    await link.close()
    expect(await served).toBeUndefined()
    await link.closed
  })

  test('[W5] carries payloads and outputs far larger than a window', async () => {
    const { link } = await join()
    const payload = seededBytes(5 * JOB_WINDOW_BYTES + 17)
    const { output } = await run(link, payload)
    expect(
      Buffer.compare(
        output,
        payload.map((byte) => 255 - byte),
      ),
    ).toBe(0)
    await link.close()
  })

  test('[W4] runs as many jobs as a node may hold at once, and each gets its own answer', async () => {
    const { link } = await join()
    const payloads = Array.from({ length: LIMITS.nodeJobsInFlight }, (_, at) =>
      seededBytes(100_000 + at, at),
    )
    const answers = await Promise.all(payloads.map((payload) => run(link, payload)))
    for (const [at, { output }] of answers.entries()) {
      expect(Buffer.compare(output, payloads[at]?.map((byte) => 255 - byte) ?? output)).toBe(0)
    }
    await link.close()
  })

  test('[W4] refuses one job more than a node may hold with no_capacity', async () => {
    const release = Promise.withResolvers<void>()
    const { link } = await join((self) => async (offer, payload) => {
      await release.promise
      return self.result(offer, payload.byteLength)
    })
    const held = Array.from({ length: LIMITS.nodeJobsInFlight }, () => run(link, seededBytes(10)))
    await until('all places taken', () => link.inFlight() === LIMITS.nodeJobsInFlight)
    expect(await codeOf(run(link, seededBytes(10)))).toBe('no_capacity')
    expect(link.inFlight()).toBe(LIMITS.nodeJobsInFlight)
    release.resolve()
    await Promise.all(held)
    await link.close()
  })
})

describe('back-pressure', () => {
  test('[W5] a job whose output nobody reads stops at its window and blocks no other job', async () => {
    let emitted = 0
    const { link } = await join((self) => async (offer, payload, { emit }) => {
      if (payload.byteLength === 1)
        for (let at = 0; at < 32; at += 1) {
          await emit(new Uint8Array(JOB_WINDOW_BYTES / 8))
          emitted += JOB_WINDOW_BYTES / 8
        }
      return self.result(offer, 0)
    })
    const read = Promise.withResolvers<void>()
    const slow = link.run(await bench.offer(new Uint8Array(1)), new Uint8Array(1), {
      cancellation: new Canceller(),
      onChunk: () => read.promise,
    })
    await until('the slow job to fill its window', () => emitted === JOB_WINDOW_BYTES)
    for (let job = 0; job < 20; job += 1) await run(link, seededBytes(5_000))
    expect(emitted).toBeLessThanOrEqual(JOB_WINDOW_BYTES)
    read.resolve()
    await slow
    expect(emitted).toBe(4 * JOB_WINDOW_BYTES)
    await link.close()
  })

  test('[W6] an output over its bound ends the job with too_large and not the link', async () => {
    const stopped = Promise.withResolvers<void>()
    const { link } = await join((self) => async (offer, payload, { emit }) => {
      if (payload.byteLength > 1) return self.result(offer, 0)
      const piece = new Uint8Array(FRAME_BYTES)
      try {
        for (;;) await emit(piece)
      } finally {
        stopped.resolve()
      }
    })
    expect(await codeOf(run(link, new Uint8Array(1)))).toBe('too_large')
    await stopped.promise
    await run(link, seededBytes(10))
    await link.close()
  })
})

describe('endings', () => {
  test('[W7] a cancellation ends the job on the node, frees its slot and keeps the link', async () => {
    const reasons: unknown[] = []
    const waiting = waits((reason) => reasons.push(errorCode(reason)))
    const { link } = await join(
      (self) => async (offer, payload, options) =>
        payload.byteLength > 1 ? self.result(offer, 0) : waiting(offer, payload, options),
    )
    for (let round = 0; round < 3 * LIMITS.nodeJobsInFlight; round += 1) {
      const { job, canceller } = await begin(link, new Uint8Array(1))
      canceller.cancel(undefined)
      expect(await job).toBe('cancelled')
    }
    await until('every handler to be told', () => reasons.length > 3)
    expect(new Set(reasons)).toEqual(new Set(['cancelled']))
    await run(link, seededBytes(10))
    await link.close()
  })

  test('[W7] the node confirms a cancel once it has ended the job, and then takes another in its place', async () => {
    const wound = Promise.withResolvers<void>()
    let begun = 0
    const { link } = await join((self) => async (offer, payload, { signal }) => {
      if (payload.byteLength > 1) return self.result(offer, 0)
      begun += 1
      await wound.promise
      throw signal.reason
    })
    const canceller = new Canceller()
    const ends: string[] = []
    const jobs = await Promise.all(
      Array.from({ length: LIMITS.nodeJobsInFlight }, async () => {
        const payload = new Uint8Array(1)
        const onEnd = () => void ends.push('ended')
        const offer = await bench.offer(payload)
        const options = { cancellation: canceller, onChunk: () => {}, onEnd }
        return { end: codeOf(link.run(offer, payload, options)) }
      }),
    )
    await until('all have begun', () => begun === jobs.length)
    canceller.cancel(undefined)
    for (const { end } of jobs) expect(await end).toBe('cancelled')
    expect(await codeOf(run(link, seededBytes(10)))).toBe('no_capacity')
    expect(ends).toEqual([])
    wound.resolve()
    await until('the node confirms all', () => ends.length === jobs.length)
    await run(link, seededBytes(10))
    await link.close()
  })

  test('[W7] the node learns why its job was taken: nobody waits, its time is over, or it was silent', async () => {
    const told: unknown[] = []
    const { link } = await join(() =>
      waits((reason) => {
        const error = toAppError(reason)
        told.push([failureOf(error).whose, error.code, /prefers other nodes/.test(error.detail)])
      }),
    )
    for (const reason of [
      new AppError('cancelled', 'The caller left.'),
      new AppError('node_timeout', 'No answer within 5 ms.'),
      new SilentNode('node_timeout', 'The node was silent for 5 ms.'),
    ]) {
      const { job, canceller } = await begin(link, new Uint8Array(1))
      canceller.cancel(reason)
      await job
    }
    await until('the node to hear of all three', () => told.length === 3)
    expect(told).toEqual([
      ['customer', 'cancelled', false],
      ['node', 'node_timeout', false],
      ['node', 'node_timeout', true],
    ])
    await link.close()
  })

  test('[W8] what the node refuses with reaches the caller by its code', async () => {
    const { link } = await join(
      () => () =>
        Promise.reject(
          new AppError('residency_unsatisfiable', 'not here', { meta: { rule: 'compute.allow' } }),
        ),
    )
    const error = await run(link, seededBytes(4)).catch((thrown: unknown) => thrown)
    expect(error).toMatchObject({
      code: 'residency_unsatisfiable',
      detail: 'not here',
      meta: { rule: 'compute.allow' },
    })
    await link.close()
  })

  test('[W8] an unforeseen fault reveals nothing internal', async () => {
    const { link } = await join(() => () => Promise.reject(new Error('secret path')))
    const error = await run(link, seededBytes(4)).catch((thrown: unknown) => thrown)
    expect(error).toMatchObject({ code: 'internal' })
    expect(JSON.stringify(error)).not.toContain('secret')
    await link.close()
  })

  test('[W9] a lost stream ends every job on it with node_lost, and aborts them on the node', async () => {
    const aborted: unknown[] = []
    const { link, served, nodeEnd } = await join(() => waits((reason) => aborted.push(reason)))
    const jobs = [1, 2, 3].map(() => codeOf(run(link, seededBytes(10))))
    await until('three jobs in flight', () => link.inFlight() === 3)
    nodeEnd.abort(new Error('cable cut'))
    expect(await Promise.all(jobs)).toEqual(['node_lost', 'node_lost', 'node_lost'])
    await link.closed
    expect(await served).toBe('node_lost')
    await until('the node to stop all three', () => aborted.length === 3)
    expect(await codeOf(run(link, seededBytes(10)))).toBe('node_lost')
  })

  test('[W11] a node that answers no ping is dropped with node_timeout', async () => {
    const { hubEnd, nodeEnd } = await bench.node.openStream()
    let nowMs = 0
    const beats: (() => void)[] = []
    const clock = {
      nowMs: () => nowMs,
      after: (_delayMs: number, fire: () => void) => {
        beats.push(fire)
        return () => {}
      },
    }
    // Says hello, then nothing: a tab that the system has frozen.
    const { encodeFrame, jsonFrame } = await import('#p2p/stream/frames.ts')
    nodeEnd.send(encodeFrame(jsonFrame('hello', 0, await bench.node.identity.hello())))
    const link = await bench.open(hubEnd, { clock })
    const { job } = await begin(link, seededBytes(10))
    nowMs += HEARTBEAT_TIMEOUT_MS + 1
    for (const beat of beats.slice(1)) beat()
    expect(['node_lost', 'node_timeout']).toContain(await job)
    await link.closed
  })
})

describe('receipts', () => {
  test('[W12] kept receipts go to the hub after the welcome, and are acknowledged once stored', async () => {
    const kept = await keptReceipts(600)
    const stored: Bytes32[] = []
    const { link, handler } = await join(
      invertBytes,
      {
        onReceipt: async ({ receiptId }) => {
          await Promise.resolve()
          stored.push(receiptId)
        },
      },
      kept,
    )
    await until('all acknowledgements', () => handler.acknowledgedIds.length === kept.length)
    expect(stored).toEqual(kept.map(({ receiptId }) => receiptId))
    expect(handler.acknowledgedIds).toEqual(stored)
    await link.close()
  })

  test('[W12] a receipt that the hub could not store is not acknowledged, and the next one is', async () => {
    const kept = await keptReceipts(2)
    let calls = 0
    const { link, handler } = await join(
      invertBytes,
      {
        onReceipt: () => {
          calls += 1
          return calls === 1 ? Promise.reject(new Error('disk full')) : Promise.resolve()
        },
      },
      kept,
    )
    await until('one acknowledgement', () => handler.acknowledgedIds.length === 1)
    expect(handler.acknowledgedIds).toEqual(kept.slice(1).map(({ receiptId }) => receiptId))
    await link.close()
  })
})
