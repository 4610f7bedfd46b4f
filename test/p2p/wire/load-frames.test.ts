/** Load frames at the limits of the protocol: neither side may exceed what was agreed. */
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { createFrameStream, type FrameStream } from '#p2p/stream/frame-stream.ts'
import { jsonFrame, readJson, type Frame } from '#p2p/stream/frames.ts'
import { LoadReply, type LoadRequest } from '#p2p/stream/messages.ts'
import { openWork } from '#p2p/work/work-client.ts'
import { serveWork } from '#p2p/work/work-server.ts'
import { AppError } from '#shared/base/errors.ts'
import type { Bytes32 } from '#shared/base/ids.ts'
import { LIMITS } from '#shared/base/limits.ts'
import { silentLog } from '#shared/base/log.ts'
import { createMemoryNetwork, type MemoryNetwork } from '#test/support/hub/memory-network.ts'
import { until } from '#test/support/poll.ts'
import { createTestHandler, createTestHub } from '#test/support/hub/work.ts'
import { LINK_LOADS } from '#p2p/work/load-calls.ts'

const digest = (byte: number) => `0x${byte.toString(16).padStart(64, '0')}` as Bytes32

let network: MemoryNetwork
beforeAll(async () => void (network = await createMemoryNetwork()))
afterAll(() => network.close())

/** A node under test; the test holds the hub's end of its stream. */
async function openNode(load?: (request: LoadRequest) => Promise<unknown>) {
  const hub = await createTestHub()
  const node = await network.connect()
  const { hubEnd, nodeEnd } = await node.openStream()
  const frames: Frame[] = []
  const stream = createFrameStream(hubEnd, { onFrame: (frame) => void frames.push(frame) })
  const handler = createTestHandler(node.identity)
  const served = serveWork(
    nodeEnd,
    load === undefined
      ? handler
      : {
          ...handler,
          load: async (request) => ({
            presence: await node.identity.presence(2),
            error: await load(request),
          }),
        },
    { log: silentLog },
  ).catch((error: unknown) => error)
  await until('the hello', () => frames.some(({ kind }) => kind === 'hello'))
  stream.send(jsonFrame('welcome', 0, await hub.welcome()))
  const replies = () =>
    frames.filter(({ kind }) => kind === 'loaded').map((frame) => readJson(LoadReply, frame))
  return { stream, replies, served }
}

const ask = (stream: FrameStream, byte: number) =>
  stream.send(jsonFrame('load', 0, { digest: digest(byte), peers: [] }))

describe('a node that is asked to load', () => {
  it('answers each request once, with its new record and the failure', async () => {
    const { stream, replies } = await openNode(async ({ digest: wanted }) =>
      wanted === digest(1) ? undefined : new AppError('no_capacity', 'It does not fit.'),
    )
    ask(stream, 1)
    ask(stream, 2)
    await until('two replies', () => replies().length === 2)
    const byDigest = new Map(replies().map((reply) => [reply.digest, reply.error?.code ?? null]))
    expect(byDigest).toEqual(
      new Map([
        [digest(1), null],
        [digest(2), 'no_capacity'],
      ]),
    )
  })

  it('refuses if its owner lets no hub load models', async () => {
    const { stream, replies } = await openNode()
    ask(stream, 1)
    await until('a reply', () => replies().length === 1)
    expect(replies()[0]?.error?.code).toBe('forbidden')
  })

  it('leaves a hub that asks for more loads at once than agreed', async () => {
    const { stream, served } = await openNode(() => new Promise(() => {}))
    for (let i = 0; i <= LINK_LOADS; i += 1) ask(stream, i)
    expect(await served).toMatchObject({ code: 'invalid_request' })
  })

  it.each([
    ['a digest that is none', { digest: '0x12', peers: [] }],
    ['more peers than agreed', { digest: digest(1), peers: Array(LIMITS.loadPeers + 1).fill('/') }],
    ['a peer that is too long', { digest: digest(1), peers: ['x'.repeat(300)] }],
    ['a member that it does not know', { digest: digest(1), peers: [], now: true }],
  ])('leaves a hub that sends %s', async (_, body) => {
    const { stream, served } = await openNode(async () => undefined)
    stream.send(jsonFrame('load', 0, body))
    expect(await served).toMatchObject({ code: 'invalid_request' })
  })
})

describe('a hub that asks for loads', () => {
  /** The hub under test; the test holds the node's end of its stream. */
  async function openHub() {
    const hub = await createTestHub()
    const node = await network.connect()
    const { hubEnd, nodeEnd } = await node.openStream()
    const asked: Frame[] = []
    const stream = createFrameStream(nodeEnd, {
      onFrame: (frame) => void (frame.kind === 'load' && asked.push(frame)),
    })
    stream.send(jsonFrame('hello', 0, await node.identity.hello()))
    const link = await openWork(hubEnd, {
      welcome: () => hub.welcome(),
      onReceipt: () => Promise.resolve(),
      onPresence: ({ record }) =>
        record === '' ? Promise.reject(new AppError('forbidden', 'No record.')) : Promise.resolve(),
      log: silentLog,
    })
    return { link, stream, asked, node }
  }

  it('drops a node that replies to no request', async () => {
    const { link, stream, node } = await openHub()
    const presence = await node.identity.presence(2)
    stream.send(jsonFrame('loaded', 0, { digest: digest(1), presence, error: null }))
    await link.closed
    await expect(link.load({ digest: digest(1), peers: [] })).rejects.toMatchObject({
      code: 'node_lost',
    })
  })

  it('asks once for two jobs with the same model, and never exceeds the agreed number', async () => {
    const { link, asked } = await openHub()
    const loads = [0, 1, 2, 3, 0].map((byte) => link.load({ digest: digest(byte), peers: [] }))
    await expect(link.load({ digest: digest(9), peers: [] })).rejects.toMatchObject({
      code: 'no_capacity',
    })
    await until('the frames', () => asked.length === 4)
    await link.close()
    for (const load of loads) await expect(load).rejects.toMatchObject({ code: 'node_lost' })
  })

  it('treats an invalid record as a failure', async () => {
    const { link, stream } = await openHub()
    const load = link.load({ digest: digest(1), peers: [] })
    const presence = { record: '', signature: '' }
    stream.send(jsonFrame('loaded', 0, { digest: digest(1), presence, error: null }))
    await expect(load).rejects.toMatchObject({ code: 'forbidden' })
  })
})
