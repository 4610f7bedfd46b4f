/**
 * The floor: an empty Worker, Durable Object, WebSocket and Node program that carry the same request and answer. What it
 * costs is the runtime's, not ours.
 */
import type { Log } from '#shared/base/log.ts'
import { startChild } from '../harness/child.ts'
import { startPeer } from './peers.ts'

export interface FloorOptions {
  readonly dir: string
  readonly log: Log
  /** The file that answers each request. @default the request itself */
  readonly answerFile?: string
  /** Least size of the message on the WebSocket, each way. */
  readonly messageBytes: number
}

export interface Floor {
  readonly url: string
  /** Of workerd. */
  readonly pid: number
  readonly nodePid: number
  close(): Promise<void>
}

/** Bytes before a message's body: its number, and the length of the body. */
export const FLOOR_HEAD_BYTES = 8

const SOURCE = `import { DurableObject } from 'cloudflare:workers'

export class Floor extends DurableObject {
  waiting = new Map()
  last = 0

  async fetch(request) {
    if (request.headers.get('upgrade') === 'websocket') return this.join()
    const body = new Uint8Array(await request.arrayBuffer())
    const message = new Uint8Array(Math.max(${FLOOR_HEAD_BYTES} + body.length, this.env.MESSAGE_BYTES))
    const head = new DataView(message.buffer)
    const id = (this.last += 1)
    head.setUint32(0, id)
    head.setUint32(4, body.length)
    message.set(body, ${FLOOR_HEAD_BYTES})
    const { promise, resolve } = Promise.withResolvers()
    this.waiting.set(id, resolve)
    this.socket.send(message)
    return new Response(await promise, { headers: { 'content-type': 'application/json' } })
  }

  join() {
    const { 0: client, 1: server } = new WebSocketPair()
    server.binaryType = 'arraybuffer'
    server.accept()
    server.addEventListener('message', ({ data }) => {
      const head = new DataView(data)
      const id = head.getUint32(0)
      this.waiting.get(id)(new Uint8Array(data, ${FLOOR_HEAD_BYTES}, head.getUint32(4)))
      this.waiting.delete(id)
    })
    this.socket = server
    return new Response(null, { status: 101, webSocket: client })
  }
}

export default {
  fetch(request, env) {
    if (request.url.endsWith('/health/live')) return new Response('ok')
    return env.FLOOR.getByName('floor').fetch(request)
  },
}
`

export async function startFloor({
  dir,
  log,
  answerFile = '',
  messageBytes,
}: FloorOptions): Promise<Floor> {
  const worker = await startPeer({
    name: 'floor',
    source: SOURCE,
    dir,
    log,
    vars: { MESSAGE_BYTES: String(messageBytes) },
    durableObjects: [{ binding: 'FLOOR', className: 'Floor' }],
  })
  try {
    const url = `${worker.url.replace(/^http/, 'ws')}/node`
    const script = new URL('floor-node.ts', import.meta.url)
    const node = await startChild(script, [url, answerFile, String(messageBytes)])
    const close = async () => {
      await node.close()
      await worker.close()
    }
    return { url: worker.url, pid: worker.pid, nodePid: node.pid, close }
  } catch (error) {
    await worker.close()
    throw error
  }
}
