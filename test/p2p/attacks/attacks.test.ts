/** Nodes that want unearned money or the hub's memory: what they try on a real hub, and what happens. */
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { systemClock } from '#p2p/stream/clock.ts'
import type { KeptReceipt } from '#p2p/stream/messages.ts'
import { createHubNode, newIdentity, peerIdOf } from '#p2p/peers/node.ts'
import { durableObjectTransport } from '#p2p/transports/durable-object.ts'
import type { SocketLike } from '#p2p/transports/socket-connection.ts'
import { AppError, errorCode, type ErrorMeta } from '#shared/base/errors.ts'
import { newJobId, NodeId } from '#shared/base/ids.ts'
import { LIMITS } from '#shared/base/limits.ts'
import { silentLog } from '#shared/base/log.ts'
import { createByteSink } from '#worker/hub/attempts/byte-sink.ts'
import { Directory } from '#worker/hub/members/directory.ts'
import { createKnownEchoes } from '#worker/hub/place/known-echoes.ts'
import { createNodeGate } from '#worker/hub/entrance/node-gate.ts'
import type { Admission } from '#worker/protocols/hub.ts'
import { startAnchoredHubs } from '#test/support/hub/anchored-hubs.ts'
import { until } from '#test/support/poll.ts'
import { createHubBench, kernelRequest, type TestHubBench } from '#test/support/hub/hub.ts'
import { seenIn } from '#test/support/hub/evidence.ts'
import { compiled } from '#test/support/hub/policies.ts'
import { HUB_ENTERING } from '#worker/hub/entrance/seats.ts'
import { NODE_ENTERING } from '#worker/hub/entrance/entrance.ts'

const EU = compiled({ compute: { allow: ['EU'], deny: [] } })
const DOMAIN = { chainId: 1, verifyingContract: `0x${'11'.repeat(20)}` } as const
const payload = new Uint8Array([1, 2, 3, 4])

describe('a receipt for a job that answered nobody', () => {
  let hub: TestHubBench
  beforeEach(async () => void (hub = await createHubBench()))
  afterEach(() => hub.close())

  /** A node that does its job, keeps the receipt, and then ends the job in its own way. */
  async function run(end: (leave: () => Promise<void>) => Promise<never>) {
    let kept: KeptReceipt | undefined
    const node = await hub.join({
      country: 'DE',
      run: async (offer, _payload, next) => {
        await next()
        const { jobId, hub } = offer.ticket
        kept = { receiptId: `0x${'11'.repeat(32)}`, jobId, hub }
        return end(() => node.disconnect())
      },
    })
    const error = await hub.ask(EU, payload).catch((e: unknown) => e)
    if (kept === undefined) throw new Error('the node was not asked')
    return { kept, error }
  }
  const vanish = async (leave: () => Promise<void>) => {
    await leave()
    return new Promise<never>(() => {})
  }

  it('[R11] is owed nothing when the stream broke before the answer left', async () => {
    const { kept, error } = await run(vanish)
    expect(error).toMatchObject({ code: 'node_lost' })
    await hub.dispatcher.redeliver(kept)
    expect(hub.outbox.isEmpty()).toBe(true)
  })

  it('[R11] is owed nothing when the node itself had refused the job', async () => {
    const { kept, error } = await run(() =>
      Promise.reject(new AppError('invalid_request', 'line 3 of your kernel is wrong')),
    )
    expect(error).toMatchObject({ code: 'invalid_request' })
    await hub.dispatcher.redeliver(kept)
    expect(hub.outbox.isEmpty()).toBe(true)
  })

  it('carries no facts of the node into the answer but the rule and the faults', async () => {
    const meta = { retryAfterSeconds: 'x\r\nset-cookie: y', invalidResult: true, rule: 'a.rule' }
    const { error } = await run(() =>
      Promise.reject(new AppError('too_large', 'too much', { meta: meta as unknown as ErrorMeta })),
    )
    expect(error).toMatchObject({ code: 'too_large' })
    expect((error as AppError).meta).toEqual({ rule: 'a.rule' })
  })
})

describe('jobs that ask for more than the hub can hold', () => {
  it('are refused while others are running, even if all come at once', async () => {
    const hub = await createHubBench()
    await hub.join({ country: 'DE', run: () => new Promise(() => {}) })
    const caller = new AbortController()
    const { work, ...rest } = await kernelRequest(EU, payload)
    const out = { binding: 1, access: 'read_write' as const, filled: false, return: true }
    const sizeBytes = LIMITS.kernelBufferBytes - payload.length
    if (work.kind !== 'kernel') throw new Error('not a kernel')
    const large = { ...work, buffers: [...work.buffers, { ...out, sizeBytes }] }
    const codes = Array.from({ length: 3 }, () =>
      hub.dispatcher
        .dispatch({ ...rest, jobId: newJobId(), work: large }, new Uint8Array(0), caller.signal)
        .catch((error: unknown) => errorCode(error)),
    )
    expect(await Promise.race(codes)).toBe('no_capacity')
    caller.abort()
    expect(await Promise.all(codes)).toEqual(['cancelled', 'no_capacity', 'no_capacity'])
    await hub.close()
  })
})

describe('an answer that comes in single bytes', () => {
  it('takes no more memory than its bytes, and is complete', () => {
    const sink = createByteSink()
    for (let i = 0; i < 100_000; i += 1) sink.push(new Uint8Array([i]))
    expect(sink.bytes().length).toBe(100_000)
    expect(sink.bytes()[99_999]).toBe(99_999 % 256)
    expect(sink.bytes().buffer.byteLength).toBeLessThan(200_001)
  })
})

describe('an admission that is used again and again', () => {
  const admissionOf = (nodeId: NodeId): Admission => ({
    nodeId,
    claim: 'DE',
    trust: 'public',
    networks: [],
    reporter: 'v',
    block: 'b',
    nonce: crypto.randomUUID(),
    expiresAtMs: Date.now() + 60_000,
    voucher: null,
    purpose: 'work',
    hubs: {},
    observation: seenIn('DE'),
    transportRttMs: null,
  })

  /** The hub's end of a socket whose other end is silent. */
  function silentSocket(): SocketLike & { hangUp(): void } {
    const target = new EventTarget()
    return {
      binaryType: 'arraybuffer',
      send: () => {},
      close: () => {},
      addEventListener: (type: string, listener: (event: never) => void) =>
        target.addEventListener(type, listener as never),
      hangUp: () => void target.dispatchEvent(new Event('close')),
    }
  }

  it('and silent sockets of one address block keep no other node out', async () => {
    const hubs = await startAnchoredHubs(['frankfurt'])
    const core = hubs.core('frankfurt')
    const mute = Array.from({ length: HUB_ENTERING + 20 }, async (_, at) => {
      const id = NodeId.parse(peerIdOf(await newIdentity()))
      const socket = silentSocket()
      const admission = { ...admissionOf(id), block: 'crowd', nonce: `mute ${at}` }
      return core.gate.enter(socket, admission).catch((error: unknown) => errorCode(error))
    })
    expect(await Promise.race(mute)).toBe('no_capacity')
    const honest = await hubs.join({ claim: 'DE', hub: 'frankfurt', oneWayMs: { frankfurt: 0 } })
    const { nodeId } = honest.state()
    await until('the honest one is there', () =>
      core.directory.standings().some((node) => node.nodeId === nodeId),
    )
    await hubs.close()
  })

  it('opens few sockets at once, so that other nodes can enter', async () => {
    const transport = durableObjectTransport()
    const privateKey = await newIdentity()
    const libp2p = await createHubNode({ privateKey, transports: [transport], log: silentLog })
    const gate = createNodeGate({
      libp2p,
      transport,
      directory: new Directory(),
      clock: systemClock,
      greeting: { hub: 'hub-test', hubKey: { x: '0x', y: '0x' }, domain: DOMAIN },
      onReceipt: () => Promise.resolve(),
      onChange: () => {},
      evidence: {
        anchor: null,
        attestations: { of: () => null },
        echoes: createKnownEchoes(),
        onMeasured: () => {},
        now: Date.now,
      },
      vouchers: { attend: () => {}, check: () => Promise.resolve() },
      log: silentLog,
    })
    const admit = async () => admissionOf(NodeId.parse(peerIdOf(await newIdentity())))
    const [flooder, other] = [await admit(), await admit()]
    const again = () => ({ ...flooder, nonce: crypto.randomUUID() })
    const sockets = Array.from({ length: NODE_ENTERING + 1 }, silentSocket)
    const [last, ...first] = sockets.toReversed()
    const pending = first.map((socket, at) => gate.enter(socket, at === 0 ? flooder : again()))
    if (last === undefined) throw new Error('no socket')
    await expect(gate.enter(last, again())).rejects.toMatchObject({ code: 'no_capacity' })
    await expect(gate.enter(last, flooder)).rejects.toMatchObject({ code: 'forbidden' })
    const others = gate.enter(last, other)
    for (const socket of sockets) socket.hangUp()
    const ended = await Promise.allSettled([...pending, others])
    expect(ended.map((end) => end.status === 'rejected' && end.reason)).toEqual(
      ended.map(() => expect.objectContaining({ code: 'node_lost' })),
    )
    await libp2p.stop()
  })
})
