/** Nodes' real WebSockets, handed to a Hub object as workerd would, and their messages counted. */
import { once } from 'node:events'
import type { AddressInfo } from 'node:net'
import { vi } from 'vitest'
import { WebSocketServer, type WebSocket } from 'ws'
import type { HubStatus } from '#worker/protocols/hub.ts'
import type { Tally } from './tally.ts'

export interface HubObject {
  fetch(request: Request): Promise<Response>
  status(): Promise<HubStatus>
}

/** Takes nodes' sockets as the Worker does after admission, and hands them to the hub. */
export async function listen(tally: Tally, hub: HubObject) {
  const { ADMISSION_HEADER } = await import('#worker/protocols/hub.ts')
  const { seenIn } = await import('#test/support/hub/evidence.ts')
  const server = new WebSocketServer({ host: '127.0.0.1', port: 0 })
  let last: Promise<unknown> = Promise.resolve()
  server.on('connection', (socket, { url = '' }) => {
    const nodeId = url.split('/').at(-1) ?? ''
    const admission = {
      nodeId,
      claim: 'DE',
      trust: 'public',
      networks: [],
      voucher: null,
      reporter: nodeId,
      block: nodeId,
      nonce: crypto.randomUUID(),
      expiresAtMs: Date.now() + 60_000,
      purpose: 'work',
      hubs: {},
      observation: seenIn('DE'),
      transportRttMs: null,
    }
    const headers = { upgrade: 'websocket', [ADMISSION_HEADER]: JSON.stringify(admission) }
    const request = new Request('http://hub/node', { headers })
    // Buffered until the hub listens: it may still be busy with the node before.
    socket.pause()
    last = last.then(() => withSocket(countedSocket(socket, tally), () => hub.fetch(request)))
  })
  await once(server, 'listening')
  return {
    port: (server.address() as AddressInfo).port,
    async close() {
      for (const client of server.clients) client.terminate()
      server.close()
      await last
    },
  }
}

/** The runtime's part of an upgrade: a pair of sockets, and a response of status 101. */
async function withSocket(socket: object, enter: () => Promise<Response>): Promise<void> {
  const Usual = Response
  vi.stubGlobal('WebSocketPair', function () {
    return { 0: {}, 1: socket }
  })
  vi.stubGlobal(
    'Response',
    class extends Usual {
      constructor(body: string | null, init: ResponseInit) {
        super(body, init.status === 101 ? {} : init)
      }
    },
  )
  await enter()
  vi.stubGlobal('Response', Usual)
}

function countedSocket(socket: WebSocket, tally: Tally): object {
  return {
    accept: () => socket.resume(),
    set binaryType(type: 'arraybuffer') {
      socket.binaryType = type
    },
    get bufferedAmount() {
      return socket.bufferedAmount
    },
    send(data: Uint8Array) {
      tally.add('messages to nodes', 'socket')
      tally.add('bytes to nodes', 'socket', data.byteLength)
      socket.send(data)
    },
    close: (code: number, reason: string) => socket.close(code, reason),
    addEventListener(type: 'message' | 'close' | 'error', listener: (event: unknown) => void) {
      socket.addEventListener(type as 'message', (event) => {
        if (type === 'message') {
          tally.add('messages from nodes', 'socket')
          tally.add('bytes from nodes', 'socket', (event.data as ArrayBuffer).byteLength)
        }
        listener(event)
      })
    },
  }
}
