/** The memory transport in the common suite: the same rules without a network. */
import { memory } from '@libp2p/memory'
import { multiaddr } from '@multiformats/multiaddr'
import { createHubNode, createPeerNode, newIdentity } from '#p2p/peers/node.ts'
import { silentLog } from '#shared/base/log.ts'
import { transportSuite } from '#test/suites/transport.ts'
import { serveTransportPeer } from '#test/support/transport/transport-peer.ts'

transportSuite('memory', async () => {
  const address = `/memory/transport-${process.pid}`
  const node = await createHubNode({
    privateKey: await newIdentity(),
    transports: [memory()],
    listen: [address],
    log: silentLog,
  })
  const view = await serveTransportPeer(node)
  return {
    address: multiaddr(address),
    deadAddress: multiaddr('/memory/nobody'),
    createDialer: async () =>
      createPeerNode({
        privateKey: await newIdentity(),
        transports: [memory()],
        log: silentLog,
      }),
    view: () => Promise.resolve({ peerId: node.peerId.toString(), ...view() }),
    close: async () => {
      await node.stop()
    },
  }
})
