/** A peer that floods its hub is charged for it and loses its seat. */
import type { Stream } from '@libp2p/interface'
import { multiaddr } from '@multiformats/multiaddr'
import { afterAll, afterEach, beforeAll, describe, expect, test } from 'vitest'
import {
  WORK_PROTOCOL,
  encodeFrame,
  jsonFrame,
  numberFrame,
  type Frame,
} from '#p2p/stream/frames.ts'
import { WORK_VERSION, type KeptReceipt } from '#p2p/stream/messages.ts'
import { Canceller } from '#p2p/stream/cancellation.ts'
import { createPeerNode, newIdentity, peerIdOf } from '#p2p/peers/node.ts'
import { presenceTopic, publishPresence, signPresence } from '#p2p/peers/presence.ts'
import { openWork } from '#p2p/work/work-client.ts'
import { createLog, silentLog, type LogFields } from '#shared/base/log.ts'
import { startAnchoredHubs, type AnchoredHubs } from '#test/support/hub/anchored-hubs.ts'
import { createMemoryNetwork, type MemoryNetwork } from '#test/support/hub/memory-network.ts'
import { until } from '#test/support/poll.ts'
import {
  createTestHub,
  createTestNode,
  presenceRecord,
  seededBytes,
  type TestHub,
} from '#test/support/hub/work.ts'
import { MIB } from '#shared/base/limits.ts'

describe('1 MB of frames in one write', () => {
  let network: MemoryNetwork
  let hub: TestHub
  beforeAll(async () => {
    network = await createMemoryNetwork()
    hub = await createTestHub()
  })
  afterAll(() => network.close())

  /** A member that a test drives by hand, with all that the hub does because of it. */
  async function join(onReceipt: (kept: KeptReceipt) => Promise<void> = () => Promise.resolve()) {
    const lines: LogFields[] = []
    const node = await network.connect()
    const { hubEnd, nodeEnd } = await node.openStream()
    const asked = { receipts: 0, sent: countSends(hubEnd) }
    const opening = openWork(hubEnd, {
      welcome: () => hub.welcome(),
      onReceipt: (kept) => {
        asked.receipts += 1
        return onReceipt(kept)
      },
      log: createLog({ level: 'debug', write: (line) => void lines.push(JSON.parse(line)) }),
    })
    nodeEnd.send(encodeFrame(jsonFrame('hello', 0, await node.identity.hello())))
    const link = await opening
    asked.sent.count = 0
    return { node, link, nodeEnd, lines, asked }
  }

  const junk: [string, Frame | Uint8Array][] = [
    ...Array.from({ length: 20 }, (_, code): [string, Uint8Array][] => [
      [`kind ${code} without a body`, new Uint8Array([0, 0, 0, 0, code, 0, 0, 0, 0])],
      [`kind ${code} with four bytes`, new Uint8Array([0, 0, 0, 4, code, 0, 0, 0, 0, 1, 2, 3, 4])],
      [`kind ${code} of a job that is not open`, new Uint8Array([0, 0, 0, 0, code, 0, 0, 0, 9])],
    ]).flat(),
    ['receipts of another shape', jsonFrame('receipt', 0, { receipt: {} })],
    ['receipts that are long lists', jsonFrame('receipt', 0, { receipt: list(30_000) })],
    ['results that are long lists', jsonFrame('result', 0, { answer: { outputs: list(15_000) } })],
    ['errors with long lists', jsonFrame('error', 0, errorWith(list(40_000)))],
    ['errors with many members', jsonFrame('error', 0, errorWith(members(5_000)))],
    ['loads that nobody asked for', jsonFrame('loaded', 0, { presence: list(60_000) })],
    ['pongs to no ping', numberFrame('pong', 0, 1)],
    ['echoes of nothing', { kind: 'echoed', job: 0, body: new Uint8Array(96) }],
    ['the bytes of something else', seededBytes(1000)],
  ]
  test.each(junk)('[W16] of %s end the stream at the first', async (_what, frame) => {
    const { link, nodeEnd, lines, asked } = await join()
    nodeEnd.send(repeated(frame instanceof Uint8Array ? frame : encodeFrame(frame), MIB))
    await link.closed
    expect(asked.receipts).toBe(0)
    expect(lines.length).toBeLessThanOrEqual(2)
    // The one error with the reason, and any ping that was due.
    expect(asked.sent.count).toBeLessThanOrEqual(2)
  })

  const ofAJob: [string, (job: number) => Frame][] = [
    ['empty data', (job) => ({ kind: 'data', job, body: new Uint8Array() })],
    ['data in single bytes', (job) => ({ kind: 'data', job, body: new Uint8Array(1) })],
    ['credit of nothing', (job) => numberFrame('credit', job, 0)],
    ['credit of one byte', (job) => numberFrame('credit', job, 1)],
    ['results without an answer', (job) => jsonFrame('result', job, {})],
  ]
  test.each(ofAJob)('[W16] of %s for a running job cost the node its stream', async (_what, of) => {
    const { node, link, nodeEnd, lines } = await join()
    const offer = await hub.offer(node.libp2p.peerId.toString(), seededBytes(4))
    let chunks = 0
    const onChunk = () => void (chunks += 1)
    const ended = link
      .run(offer, seededBytes(4), { cancellation: new Canceller(), onChunk })
      .catch((error: { code?: string }) => error.code)
    nodeEnd.send(repeated(encodeFrame(of(1)), MIB))
    expect(await ended).toBe('node_lost')
    await link.closed
    // Frames that fit into a credit window at their least cost.
    expect(chunks).toBeLessThanOrEqual(1024)
    expect(lines.length).toBeLessThanOrEqual(2)
  })

  test('[W16] of refused receipts cost credit, and build up no queue', async () => {
    const { node, link, nodeEnd, asked } = await join(() => Promise.reject(new Error('no')))
    const offer = await hub.offer(node.libp2p.peerId.toString(), seededBytes(4))
    const frame = encodeFrame(jsonFrame('receipt', 0, await node.identity.receipt(offer)))
    nodeEnd.send(repeated(frame, 5 * MIB))
    await link.closed
    // Receipts checked at once, and those that fit into a window.
    expect(asked.receipts).toBeLessThanOrEqual(1_200)
  })
})

describe('an anonymous node that floods a whole hub', () => {
  let hubs: AnchoredHubs | undefined
  afterEach(() => hubs?.close())

  /** A member driven by hand, and the log of its hub. */
  async function start() {
    const lines: LogFields[] = []
    const log = createLog({ level: 'warn', write: (line) => void lines.push(JSON.parse(line)) })
    hubs = await startAnchoredHubs(['frankfurt', 'amsterdam'], { log, echoEveryMs: 600_000 })
    const honest = await hubs.join({ claim: 'DE', hub: 'frankfurt', oneWayMs: { frankfurt: 0 } })
    const identity = await newIdentity()
    const wish = { claim: 'FR', hub: 'frankfurt', oneWayMs: { frankfurt: 0 } } as const
    const nodeId = peerIdOf(identity)
    const at = { nodeId, city: 'frankfurt', purpose: 'work' } as const
    const address = await hubs.address(wish, at)
    const libp2p = await createPeerNode({ privateKey: identity, log: silentLog })
    const test = await createTestNode()
    const stream = Promise.withResolvers<Stream>()
    await libp2p.handle(WORK_PROTOCOL, (opened) => stream.resolve(opened))
    const connection = await libp2p.dial(multiaddr(address))
    const nodeEnd = await stream.promise
    let sequence = 0
    const presence = () => {
      const base = { ...test, identity, sequence: (sequence += 1), issuedAtMs: Date.now() }
      return signPresence({ ...presenceRecord(base), claim: 'FR' }, identity)
    }
    const hello = { version: WORK_VERSION, presence: await presence() }
    nodeEnd.send(encodeFrame(jsonFrame('hello', 0, hello)))
    const core = hubs.core('frankfurt')
    const has = (id: string) => core.directory.standings().some((node) => node.nodeId === id)
    await until('both are there', () => has(nodeId) && has(honest.state().nodeId))
    return {
      nodeId,
      nodeEnd,
      connection,
      libp2p,
      lines,
      presence,
      has,
      expectGone: async () => {
        await until('it has lost its place', () => !has(nodeId))
        expect(has(honest.state().nodeId)).toBe(true)
        expect(lines.filter((line) => line['nodeId'] === nodeId).length).toBeLessThanOrEqual(4)
        await libp2p.stop()
      },
    }
  }

  test('[W16] with empty receipts is disconnected at the first one', async () => {
    const { nodeEnd, expectGone } = await start()
    nodeEnd.send(repeated(new Uint8Array([0, 0, 0, 0, 12, 0, 0, 0, 0]), MIB))
    await expectGone()
  })

  test('[P5] with its own presence records is disconnected when its budget is spent', async () => {
    const { libp2p, presence, expectGone } = await start()
    const topic = presenceTopic('hub-frankfurt')
    for (let i = 0; i < 60 && libp2p.getConnections().length > 0; i += 1)
      await publishPresence(libp2p, topic, await presence())
    await expectGone()
  })

  test('[P5] with gossip of junk is gone at the first of it', async () => {
    const { libp2p, expectGone } = await start()
    const topic = presenceTopic('hub-frankfurt')
    await until('the topic is known', () => libp2p.services.pubsub.getSubscribers(topic).length > 0)
    await libp2p.services.pubsub.publish(topic, seededBytes(100))
    await expectGone()
  })

  test('[W16] below the frames, with pings that need replies, is disconnected when its budget is spent', async () => {
    const { connection, expectGone } = await start()
    const ping = new Uint8Array([0, 2, 0, 1, 0, 0, 0, 0, 0, 0, 0, 1])
    const wire = connection as unknown as {
      muxer: { maConn: { send(bytes: Uint8Array): boolean } }
    }
    wire.muxer.maConn.send(repeated(ping, MIB))
    await expectGone()
  })
})

function repeated(bytes: Uint8Array, sizeBytes: number): Uint8Array {
  const count = Math.ceil(sizeBytes / bytes.byteLength)
  return Buffer.concat(Array.from({ length: count }, () => bytes))
}

function list(length: number): number[] {
  return Array.from({ length }, () => 0)
}

function members(count: number): object {
  return Object.fromEntries(Array.from({ length: count }, (_, i) => [`m${i}`, 0]))
}

function errorWith(errors: unknown) {
  return { code: 'no_capacity', detail: 'x', retryable: false, meta: { rule: 'a', errors } }
}

function countSends(stream: Stream): { count: number } {
  const sends = { count: 0 }
  const send = stream.send.bind(stream)
  stream.send = (bytes) => {
    sends.count += 1
    return send(bytes)
  }
  return sends
}
