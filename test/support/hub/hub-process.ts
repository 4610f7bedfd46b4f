/**
 * A hub as a process that can be killed: `node hub-process.ts PORT IDENTITY_BASE64`. It opens a work stream to each
 * connecting node, runs one job on it, and writes a JSON line for each event.
 */
import { webSockets } from '@libp2p/websockets'
import { cancellationOf } from '#p2p/stream/cancellation.ts'
import { WORK_PROTOCOL } from '#p2p/stream/frames.ts'
import { createHubNode, identityFromBytes } from '#p2p/peers/node.ts'
import { presenceTopic, subscribePresence } from '#p2p/peers/presence.ts'
import { openWork } from '#p2p/work/work-client.ts'
import { silentLog } from '#shared/base/log.ts'
import { HANG_MS } from '#test/support/poll.ts'
import { createTestHub, seededBytes } from './work.ts'

const [port = '0', identity = ''] = process.argv.slice(2)
const say = (line: object) => process.stdout.write(`${JSON.stringify(line)}\n`)

const hub = await createTestHub()
const node = await createHubNode({
  privateKey: identityFromBytes(Buffer.from(identity, 'base64')),
  transports: [webSockets()],
  listen: [`/ip4/127.0.0.1/tcp/${port}/ws`],
  log: silentLog,
})

subscribePresence(node, presenceTopic('EU'), ({ nodeId }) => say({ saw: 'presence', nodeId }))

node.addEventListener('connection:open', ({ detail: connection }) => {
  const nodeId = connection.remotePeer.toString()
  const serve = async () => {
    const stream = await connection.newStream(WORK_PROTOCOL)
    const link = await openWork(stream, {
      welcome: () => hub.welcome(),
      onReceipt: () => Promise.resolve(),
      log: silentLog,
    })
    const payload = seededBytes(2_000)
    let returned = 0
    await link.run(await hub.offer(nodeId, payload), payload, {
      cancellation: cancellationOf(AbortSignal.timeout(HANG_MS)),
      onChunk: (bytes) => {
        returned += bytes.byteLength
      },
    })
    say({ saw: 'answer', nodeId, returned })
  }
  serve().catch((error: unknown) => say({ saw: 'failure', nodeId, error: String(error) }))
})

say({ saw: 'ready', nodeId: node.peerId.toString() })
