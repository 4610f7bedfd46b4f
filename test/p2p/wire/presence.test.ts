/** Signed presence over real gossipsub: nodes publish, hubs subscribe. */
import { memory } from '@libp2p/memory'
import { multiaddr } from '@multiformats/multiaddr'
import { afterAll, afterEach, beforeAll, describe, expect, test } from 'vitest'
import { createPeerNode, newIdentity, peerIdOf } from '#p2p/peers/node.ts'
import {
  isStale,
  presenceTopic,
  publishPresence,
  signPresence,
  subscribePresence,
} from '#p2p/peers/presence.ts'
import { LIMITS } from '#shared/base/limits.ts'
import { verifyPresence } from '#shared/node/presence.ts'
import { silentLog } from '#shared/base/log.ts'
import type { PresenceRecord, SignedPresence } from '#shared/node/node.ts'
import { createMemoryNetwork, type MemoryNetwork } from '#test/support/hub/memory-network.ts'
import { until } from '#test/support/poll.ts'
import { codeOf, createTestNode, presenceRecord } from '#test/support/hub/work.ts'

describe('a record', () => {
  test('[P1] is read back as it was signed', async () => {
    const node = await createTestNode()
    const record = await verifyPresence(await node.presence(7, 1_000))
    expect(record).toEqual(presenceRecord({ ...node, sequence: 7, issuedAtMs: 1_000 }))
  })

  test('[P1] with one bit changed in text or signature is refused', async () => {
    const signed = await (await createTestNode()).presence()
    const text = atob(signed.record).replace('"DE"', '"FR"')
    expect(await codeOf(verifyPresence({ ...signed, record: btoa(text) }))).toBe('forbidden')
    const signature = btoa(
      String.fromCharCode(atob(signed.signature).charCodeAt(0) ^ 1) +
        atob(signed.signature).slice(1),
    )
    expect(await codeOf(verifyPresence({ ...signed, signature }))).toBe('forbidden')
  })

  test('[P1] in another node’s name can be neither signed nor presented', async () => {
    const [mallory, alice] = [await createTestNode(), await createTestNode()]
    const record = presenceRecord({ ...alice, sequence: 1, issuedAtMs: 1 })
    expect(await codeOf(signPresence(record, mallory.identity))).toBe('invalid_request')
    const bytes = new TextEncoder().encode(JSON.stringify(record))
    const forged: SignedPresence = {
      record: Buffer.from(bytes).toString('base64'),
      signature: Buffer.from(await mallory.identity.sign(bytes)).toString('base64'),
    }
    expect(await codeOf(verifyPresence(forged))).toBe('forbidden')
  })

  test('[P1] that is too large, not JSON or of another shape is refused with the reason', async () => {
    const { identity } = await createTestNode()
    const sign = async (text: string): Promise<SignedPresence> => ({
      record: Buffer.from(text).toString('base64'),
      signature: Buffer.from(await identity.sign(Buffer.from(text))).toString('base64'),
    })
    const large = await sign('x'.repeat(LIMITS.presenceBytes + 3))
    expect(await codeOf(verifyPresence(large))).toBe('too_large')
    expect(await codeOf(verifyPresence(await sign('{')))).toBe('invalid_request')
    expect(await codeOf(verifyPresence(await sign('{"version":1}')))).toBe('invalid_request')
    expect(await codeOf(verifyPresence({ record: '!!!!', signature: '' }))).toBe('invalid_request')
  })

  test('[P3] is stale when it is too old or from too far ahead', async () => {
    const record = presenceRecord({ ...(await createTestNode()), sequence: 1, issuedAtMs: 1e9 })
    expect(isStale(record, 1e9)).toBe(false)
    expect(isStale(record, 1e9 + LIMITS.presenceMaxAgeMs + 1)).toBe(true)
    expect(isStale(record, 1e9 - LIMITS.presenceMaxAgeMs - 1)).toBe(true)
  })
})

describe('over gossipsub', () => {
  const topic = presenceTopic('EU')
  let network: MemoryNetwork
  let heard: PresenceRecord[] = []
  beforeAll(async () => {
    network = await createMemoryNetwork()
    subscribePresence(network.hub, topic, (record) => void heard.push(record))
  })
  afterEach(() => {
    heard = []
  })
  afterAll(() => network.close())

  test('[P2] reaches the hub, and only the hub, of its topic', async () => {
    const [node, bystander] = [await network.connect(), await network.connect()]
    const recipients = await publishPresence(node.libp2p, topic, await node.identity.presence(1))
    expect(recipients).toBe(1)
    await until('the record', () => heard.length === 1)
    expect(heard[0]?.nodeId).toBe(node.libp2p.peerId.toString())
    expect(bystander.libp2p.services.pubsub.getTopics()).toEqual([])
  })

  test('[P2] to a topic without a hub is an error', async () => {
    const node = await network.connect()
    const abort = new AbortController()
    const publishing = publishPresence(
      node.libp2p,
      presenceTopic('nowhere'),
      await node.identity.presence(1),
      abort.signal,
    )
    abort.abort()
    expect(await codeOf(publishing)).toBe('cancelled')
  })

  test('[P3] old, repeated and forged records are dropped, newer ones pass', async () => {
    const node = await network.connect()
    const { identity, libp2p } = node
    const send = async (signed: SignedPresence) => publishPresence(libp2p, topic, signed)
    await send(await identity.presence(5))
    await until('the first', () => heard.length === 1)
    await send(await identity.presence(4))
    await send(await identity.presence(6, Date.now() - LIMITS.presenceMaxAgeMs - 1_000))
    await send({ ...(await identity.presence(7)), signature: btoa('no') })
    await send(await identity.presence(8))
    await until('the newest', () => heard.at(-1)?.sequence === 8)
    expect(heard.map(({ sequence }) => sequence)).toEqual([5, 8])
  })

  test('[P4] forty nodes behind one address are all heard, time and again', async () => {
    const nodes = await Promise.all(Array.from({ length: 40 }, () => network.connect()))
    for (const round of [1, 2, 3]) {
      await Promise.all(
        nodes.map(async ({ identity, libp2p }) =>
          publishPresence(libp2p, topic, await identity.presence(round)),
        ),
      )
      await until(`round ${round}`, () => heard.length === 40 * round)
    }
    expect(new Set(heard.map(({ nodeId }) => nodeId)).size).toBe(40)
  })

  test('[P2] a node may publish at once after its dial returns', async () => {
    const identity = await newIdentity()
    const libp2p = await createPeerNode({
      privateKey: identity,
      transports: [memory()],
      log: silentLog,
    })
    const { signer } = await createTestNode()
    const record = presenceRecord({ identity, signer, sequence: 1, issuedAtMs: Date.now() })
    await libp2p.dial(multiaddr(network.address))
    expect(await publishPresence(libp2p, topic, await signPresence(record, identity))).toBe(1)
    await until('the record', () => heard.some(({ nodeId }) => nodeId === peerIdOf(identity)))
    await libp2p.stop()
  })
})
