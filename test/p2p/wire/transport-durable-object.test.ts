/** The Durable Object transport inside real workerd, dialled by a node's WebSocket transport. */
import { webSockets } from '@libp2p/websockets'
import { multiaddr } from '@multiformats/multiaddr'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { createHubNode, createPeerNode, newIdentity, type LittoralNode } from '#p2p/peers/node.ts'
import { silentLog } from '#shared/base/log.ts'
import { REFUSING, transportSuite } from '#test/suites/transport.ts'
import { serveTransportPeer } from '#test/support/transport/transport-peer.ts'
import { startWorkerdPeer, type WorkerdPeer } from '#test/support/transport/workerd-peer.ts'

transportSuite('Durable Object in workerd', async () => {
  const peer = await startWorkerdPeer()
  const path = encodeURIComponent('hubs/test?admission=a.b-c_d')
  return {
    address: multiaddr(`/ip4/127.0.0.1/tcp/${peer.port}/ws/http-path/${path}`),
    deadAddress: REFUSING,
    createDialer: async () => createPeerNode({ privateKey: await newIdentity(), log: silentLog }),
    view: () => peer.view(),
    close: () => peer.close(),
  }
})

describe('dialling out of a Durable Object', () => {
  let peer: WorkerdPeer
  let target: LittoralNode
  beforeAll(async () => {
    peer = await startWorkerdPeer()
    target = await createHubNode({
      privateKey: await newIdentity(),
      transports: [webSockets()],
      listen: ['/ip4/127.0.0.1/tcp/0/ws'],
      log: silentLog,
    })
    await serveTransportPeer(target)
  })
  afterAll(async () => {
    await target.stop()
    await peer.close()
  })

  test('[T1] a fetch upgrade reaches a WebSocket peer and carries an echo', async () => {
    const [address] = target.getMultiaddrs()
    expect(await peer.dialAndEcho(String(address))).toEqual({ isEqual: true })
  })

  test('[T9] noise runs on native ciphers there', async () => {
    expect((await peer.view()).hasNativeCiphers).toBe(true)
  })

  test('[T6] a dial where nobody listens rejects with an Error', async () => {
    expect(await peer.dialAndEcho(REFUSING.toString())).toMatchObject({ isError: true })
  })
})
