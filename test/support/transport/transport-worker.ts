/** The far end of the transport suite as a Durable Object in workerd. */
import { multiaddr } from '@multiformats/multiaddr'
import { nativeNoiseCrypto } from '#p2p/peers/native-noise.ts'
import { createHubNode, newIdentity } from '#p2p/peers/node.ts'
import { durableObjectTransport } from '#p2p/transports/durable-object.ts'
import { createLog } from '#shared/base/log.ts'
import { ECHO, serveTransportPeer } from './transport-peer.ts'

interface Env {
  readonly PEER: { getByName(name: string): { fetch(request: Request): Promise<Response> } }
}

interface ServerSocket {
  binaryType: string
  accept(): void
  send(data: Uint8Array<ArrayBuffer>): void
  close(code?: number, reason?: string): void
  addEventListener(type: string, listener: (event: never) => void): void
}
declare const WebSocketPair: new () => { 0: WebSocket; 1: ServerSocket }

async function start() {
  const transport = durableObjectTransport()
  const node = await createHubNode({
    privateKey: await newIdentity(),
    transports: [transport],
    mayDialPrivate: true,
    log: createLog(),
  })
  return { transport, node, view: await serveTransportPeer(node) }
}

export class Peer {
  readonly #started = start()

  async fetch(request: Request): Promise<Response> {
    const url = new URL(request.url)
    const { transport, node, view } = await this.#started
    if (request.headers.get('upgrade') === 'websocket') {
      const { 0: client, 1: server } = new WebSocketPair()
      server.accept()
      transport.accept(server, { address: '192.0.2.1' }).catch(() => {})
      return new Response(null, { status: 101, webSocket: client } as ResponseInit)
    }
    if (url.pathname === '/dial') return dialAndEcho(node, url.searchParams.get('address') ?? '')
    return Response.json({
      peerId: node.peerId.toString(),
      ...view(),
      hasNativeCiphers: nativeNoiseCrypto() !== undefined,
    })
  }
}

/** Dials out, sends the seeded bytes through an echo and reports whether they came back. */
async function dialAndEcho(node: Awaited<ReturnType<typeof start>>['node'], address: string) {
  try {
    const connection = await node.dial(multiaddr(address))
    const stream = await connection.newStream(ECHO)
    const sent = new Uint8Array(300_000).map((_, at) => at * 31)
    stream.send(sent)
    void stream.close()
    let at = 0
    let isEqual = true
    for await (const bytes of stream)
      for (const byte of bytes.subarray()) {
        isEqual &&= byte === sent[at]
        at += 1
      }
    isEqual &&= at === sent.byteLength
    await connection.close()
    return Response.json({ isEqual })
  } catch (error) {
    const { name, message } = error as Error
    return Response.json({ isError: error instanceof Error, name, message })
  }
}

export default {
  fetch(request: Request, env: Env): Promise<Response> | Response {
    if (new URL(request.url).pathname === '/v2/health/live') return new Response('ok')
    return env.PEER.getByName('peer').fetch(request)
  },
}
