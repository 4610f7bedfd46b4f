/** A node learns nothing about other nodes from the hubs' gossip. */
import { afterEach, describe, expect, it } from 'vitest'
import { WORK_PROTOCOL } from '#p2p/stream/frames.ts'
import { createPeerNode, newIdentity, peerIdOf } from '#p2p/peers/node.ts'
import { presenceTopic } from '#p2p/peers/presence.ts'
import { silentLog } from '#shared/base/log.ts'
import { startAnchoredHubs, type AnchoredHubs } from '#test/support/hub/anchored-hubs.ts'
import { until } from '#test/support/poll.ts'

let hubs: AnchoredHubs | undefined
afterEach(() => hubs?.close())

describe('[P2] a node that subscribes to a topic', () => {
  it('is disconnected before it learns about other nodes', async () => {
    hubs = await startAnchoredHubs(['amsterdam', 'frankfurt'])
    const identity = await newIdentity()
    const spy = await createPeerNode({ privateKey: identity, log: silentLog })
    const heard: string[] = []
    spy.services.pubsub.addEventListener('gossipsub:message', ({ detail }) => {
      heard.push(detail.msg.topic)
    })
    await spy.handle(WORK_PROTOCOL, () => {})
    const wish = { claim: 'DE', hub: 'frankfurt', oneWayMs: { frankfurt: 0 } } as const
    const at = { nodeId: peerIdOf(identity), city: 'frankfurt', purpose: 'work' } as const
    await spy.dial(await hubs.address(wish, at))
    expect(spy.getConnections().length).toBe(1)
    spy.services.pubsub.subscribe(presenceTopic('hub-frankfurt'))
    await until('sent away', () => spy.getConnections().length === 0)
    const oneWayMs = { amsterdam: 0, frankfurt: 0 }
    const node = await hubs.join({ claim: 'NL', hub: 'amsterdam', oneWayMs })
    await until('told of', () => node.state().phase === 'online')
    expect(heard).toEqual([])
    await spy.stop()
  })
})
