/** Peers that break the work protocol get a named error and lose the stream, nothing more. */
import type { Stream } from '@libp2p/interface'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import {
  bareFrame,
  createFrameDecoder,
  encodeFrame,
  jsonFrame,
  numberFrame,
  type Frame,
  FRAME_BYTES,
} from '#p2p/stream/frames.ts'
import { Canceller } from '#p2p/stream/cancellation.ts'
import { frameCost, JOB_WINDOW_BYTES } from '#p2p/stream/credit.ts'
import { WORK_VERSION } from '#p2p/stream/messages.ts'
import { readWireError } from '#p2p/stream/wire-error.ts'
import { CANCELLED_JOBS, type OpenWorkOptions, type WorkLink } from '#p2p/work/work-client.ts'
import { serveWork } from '#p2p/work/work-server.ts'
import { AppError } from '#shared/base/errors.ts'
import { LIMITS } from '#shared/base/limits.ts'
import { silentLog } from '#shared/base/log.ts'
import { createWorkBench, type WorkBench } from '#test/support/hub/memory-network.ts'
import { until } from '#test/support/poll.ts'
import { codeOf, createTestHandler, seededBytes } from '#test/support/hub/work.ts'

let bench: WorkBench
beforeAll(async () => void (bench = await createWorkBench()))
afterAll(() => bench.close())

/** One end of a stream that a test drives by hand. */
function byHand(stream: Stream) {
  const frames: Frame[] = []
  const decoder = createFrameDecoder()
  stream.addEventListener('message', ({ data }) => {
    decoder.push(data.subarray(), (frame) => void frames.push(frame))
  })
  return {
    frames,
    send: (...sent: Frame[]) => {
      for (const frame of sent) stream.send(encodeFrame(frame))
    },
    sendBytes: (bytes: Uint8Array) => void stream.send(bytes),
    /** Waits for the first frame of a kind. */
    async first(kind: Frame['kind']): Promise<Frame> {
      await until(`a ${kind} frame`, () => frames.some((frame) => frame.kind === kind))
      return frames.find((frame) => frame.kind === kind) ?? bareFrame('end', 0)
    },
  }
}

/** A hub that a test drives as its node, before the hello. */
async function dial(options?: Partial<OpenWorkOptions>) {
  const { hubEnd, nodeEnd } = await bench.node.openStream()
  return { hand: byHand(nodeEnd), opening: bench.open(hubEnd, options) }
}

async function open(options?: Partial<OpenWorkOptions>) {
  const { hand, opening } = await dial(options)
  hand.send(jsonFrame('hello', 0, await bench.node.identity.hello()))
  return { hand, link: await opening }
}

async function begin(link: WorkLink, payload = seededBytes(10)) {
  const offer = await bench.offer(payload)
  const canceller = new Canceller()
  // A reader that never reads: no credit is ever granted.
  const onChunk = () => new Promise<void>(() => {})
  const job = codeOf(link.run(offer, payload, { cancellation: canceller, onChunk }))
  await until('the job to be in flight', () => link.inFlight() === 1)
  return { job, canceller, offer }
}

describe('a hostile node', () => {
  test('[W1] that speaks before its hello is refused', async () => {
    const { hand, opening } = await dial()
    hand.send(numberFrame('pong', 0, 1))
    expect(await codeOf(opening)).toBe('invalid_request')
    expect(readWireError(await hand.first('error')).code).toBe('invalid_request')
  })

  test('[W13] that speaks an older version is told upgrade_required', async () => {
    const { hand, opening } = await dial()
    const hello = await bench.node.identity.hello()
    hand.send(
      jsonFrame('hello', 0, { ...hello, version: 0, since: 'before presence had a schema' }),
    )
    expect(await codeOf(opening)).toBe('upgrade_required')
    expect(readWireError(await hand.first('error')).code).toBe('upgrade_required')
  })

  test('[W1] that the hub refuses gets the reason', async () => {
    const { hubEnd, nodeEnd } = await bench.node.openStream()
    const handler = createTestHandler(bench.node.identity)
    const served = codeOf(serveWork(nodeEnd, handler, { log: silentLog }))
    const opening = bench.open(hubEnd, {
      welcome: () => Promise.reject(new AppError('forbidden', 'not admitted')),
    })
    expect(await codeOf(opening)).toBe('forbidden')
    expect(await served).toBe('forbidden')
    expect(handler.welcomes).toEqual([])
  })

  const breaches: [string, (job: number) => Frame[]][] = [
    ['data beyond its credit', (job) => dataFrames(job, JOB_WINDOW_BYTES + 1)],
    ['data frames without data', (job) => [{ kind: 'data', job, body: new Uint8Array() }]],
    ['data for a job that nobody opened', () => dataFrames(99, 10)],
    ['a result that fits no schema', (job) => [jsonFrame('result', job, { answer: 42 })]],
    ['a pong to no ping', () => [numberFrame('pong', 0, 12_345)]],
    ['data in frames of a byte', (job) => tinyFrames(job, JOB_WINDOW_BYTES / 512)],
    ['more credit than a window', (job) => [numberFrame('credit', job, 0xffffffff)]],
    ['credit of nothing', (job) => [numberFrame('credit', job, 0)]],
    ['credit byte by byte', (job) => [numberFrame('credit', job, 1)]],
    ['a job of its own', (job) => [jsonFrame('job', job, {})]],
    ['a second hello', () => [jsonFrame('hello', 0, {})]],
  ]
  test.each(breaches)('[W3] that sends %s loses its stream and its jobs', async (_what, frames) => {
    const { hand, link } = await open()
    const { job } = await begin(link)
    const { job: number } = await hand.first('job')
    hand.send(...frames(number))
    expect(await job).toBe('node_lost')
    await link.closed
    expect(readWireError(await hand.first('error')).code).toBe('invalid_request')
  })

  test('[W3] that sends receipts faster than the hub stores them loses its stream', async () => {
    const { hand, link } = await open({ onReceipt: () => new Promise<void>(() => {}) })
    const stored = await bench.node.identity.receipt(await bench.offer(seededBytes(4)))
    // Each frame costs credit, however small it is.
    const receipt = jsonFrame('receipt', 0, stored)
    const fit = Math.floor(JOB_WINDOW_BYTES / frameCost(receipt.body.byteLength))
    hand.send(...Array.from({ length: fit + 1 }, () => receipt))
    await link.closed
    expect(readWireError(await hand.first('error')).code).toBe('invalid_request')
  })

  test('[W3] that declares a huge frame is cut off at its header', async () => {
    const { hand, link } = await open()
    const { job } = await begin(link)
    hand.sendBytes(new Uint8Array([0xff, 0xff, 0xff, 0xff, 6, 0, 0, 0, 1]))
    expect(await job).toBe('node_lost')
    expect(readWireError(await hand.first('error')).code).toBe('too_large')
  })

  test('[W7] that never confirms cancels gets no more jobs', async () => {
    const { link } = await open()
    let code = ''
    let rounds = 0
    while (code !== 'no_capacity' && rounds <= CANCELLED_JOBS) {
      rounds += 1
      const canceller = new Canceller()
      const offer = await bench.offer(seededBytes(4))
      const job = codeOf(
        link.run(offer, seededBytes(4), { cancellation: canceller, onChunk: () => {} }),
      )
      canceller.cancel(undefined)
      code = await job
    }
    expect(code).toBe('no_capacity')
    expect(rounds).toBe(CANCELLED_JOBS + 1)
    await link.close()
  })

  test('[W7] data in flight when its job was cancelled does no harm', async () => {
    const { hand, link } = await open()
    const { job, canceller } = await begin(link)
    const { job: number } = await hand.first('job')
    canceller.cancel(undefined)
    expect(await job).toBe('cancelled')
    hand.send(...dataFrames(number, 1000))
    hand.send(jsonFrame('error', number, { code: 'cancelled', detail: '', retryable: false }))
    const next = await begin(link)
    await until('a second job', () => hand.frames.filter(({ kind }) => kind === 'job').length === 2)
    hand.send(jsonFrame('result', number + 1, await bench.node.identity.result(next.offer, 0)))
    expect(await next.job).toBe('fulfilled')
    await link.close()
  })
})

describe('a hostile hub', () => {
  async function serve() {
    const { hubEnd, nodeEnd } = await bench.node.openStream()
    const hand = byHand(hubEnd)
    const served = codeOf(
      serveWork(nodeEnd, createTestHandler(bench.node.identity), { log: silentLog }),
    )
    await hand.first('hello')
    return { hand, served }
  }

  test('[W1] that sends a job before its welcome loses the node', async () => {
    const { hand, served } = await serve()
    hand.send(jsonFrame('job', 1, await bench.offer(seededBytes(4))))
    expect(await served).toBe('invalid_request')
  })

  test('[W13] that answers with another version is told upgrade_required', async () => {
    const { hand, served } = await serve()
    hand.send(
      jsonFrame('welcome', 0, { ...(await bench.hub.welcome()), version: WORK_VERSION + 1 }),
    )
    expect(await served).toBe('upgrade_required')
    expect(readWireError(await hand.first('error')).code).toBe('upgrade_required')
  })

  const breaches: [string, (job: Frame) => Frame[]][] = [
    ['more payload than its job says', (job) => [job, ...dataFrames(1, 11)]],
    ['less payload than its job says', (job) => [job, ...dataFrames(1, 9), bareFrame('end', 1)]],
    [
      'the end twice',
      (job) => [job, ...dataFrames(1, 10), bareFrame('end', 1), bareFrame('end', 1)],
    ],
    ['a job number twice', (job) => [job, job]],
    [
      'frames of a job that it never offered',
      () => [jsonFrame('cancel', 7, { reason: 'unwanted' })],
    ],
    ['a result', () => [jsonFrame('result', 0, {})]],
    ['credit beyond a window', (job) => [job, numberFrame('credit', 1, 1)]],
  ]
  test.each(breaches)('[W3] that sends %s loses the node', async (_what, frames) => {
    const { hand, served } = await serve()
    hand.send(jsonFrame('welcome', 0, await bench.hub.welcome()))
    hand.send(...frames(jsonFrame('job', 1, await bench.offer(seededBytes(10)))))
    expect(await served).toBe('invalid_request')
  })

  test('[W6] whose job declares too large a payload is refused before a byte is reserved', async () => {
    const { hand } = await serve()
    hand.send(jsonFrame('welcome', 0, await bench.hub.welcome()))
    const offer = await bench.offer(seededBytes(10))
    const input = { name: 'x', datatype: 'UINT8', shape: [1], sizeBytes: LIMITS.kernelTotalBytes }
    hand.send(
      jsonFrame('job', 1, { ...offer, work: { ...offer.work, inputs: [input, input, input] } }),
    )
    const error = await hand.first('error')
    expect(error.job).toBe(1)
    expect(readWireError(error).code).toBe('too_large')
  })
})

function dataFrames(job: number, sizeBytes: number): Frame[] {
  const frames: Frame[] = []
  for (let left = sizeBytes; left > 0; left -= FRAME_BYTES)
    frames.push({ kind: 'data', job, body: new Uint8Array(Math.min(left, FRAME_BYTES)) })
  return frames
}

function tinyFrames(job: number, count: number): Frame[] {
  return Array.from({ length: count }, () => ({ kind: 'data', job, body: new Uint8Array(1) }))
}
