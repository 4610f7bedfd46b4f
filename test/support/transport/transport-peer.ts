/** The far end of the transport suite. It needs no runtime, so a Node process or a Durable Object can run it. */
import type { Connection, Stream } from '@libp2p/interface'
import type { LittoralNode } from '#p2p/peers/node.ts'

export const ECHO = '/test/echo/1.0.0'
/** Counts what it has read, but reads nothing until `RELEASE` is opened. Sends the count when its peer has closed. */
export const SINK = '/test/sink/1.0.0'
export const RELEASE = '/test/release/1.0.0'
/** Sends 32 MiB as fast as it can. `PeerView` shows its progress. */
export const SOURCE = '/test/source/1.0.0'
export const SOURCE_BYTES = 32 * 1024 * 1024
/** Never answers. `PeerView` shows how its last stream ended. */
export const HOLD = '/test/hold/1.0.0'
/** Closes or aborts the connection that it arrives on. */
export const CLOSE = '/test/close/1.0.0'
export const ABORT = '/test/abort/1.0.0'

/** A peer's observations, which a test polls. */
export interface PeerView {
  readonly connections: number
  readonly remotePeers: readonly string[]
  /** Bytes that the last `SOURCE` stream has sent. */
  readonly sourceBytes: number
  /** The ends of `HOLD` streams, in order. */
  readonly holds: readonly ('closed' | 'broken')[]
}

export async function serveTransportPeer(node: LittoralNode): Promise<() => PeerView> {
  const holds: ('closed' | 'broken')[] = []
  const held: Stream[] = []
  let sourceBytes = 0
  await node.handle(ECHO, (stream) => echo(stream), { maxInboundStreams: 64 })
  await node.handle(SINK, (stream) => {
    stream.pause()
    held.push(stream)
    void count(stream)
  })
  await node.handle(SOURCE, async (stream) => {
    const piece = new Uint8Array(64 * 1024)
    for (sourceBytes = 0; sourceBytes < SOURCE_BYTES; sourceBytes += piece.byteLength) {
      await drained(stream)
      stream.send(piece)
    }
    await stream.close()
  })
  await node.handle(RELEASE, async (stream) => {
    for (const paused of held.splice(0)) paused.resume()
    await stream.close()
  })
  await node.handle(HOLD, (stream) => {
    stream.addEventListener('remoteCloseWrite', () => void stream.close())
    stream.addEventListener('close', (event) => {
      holds.push(event.error === undefined ? 'closed' : 'broken')
    })
  })
  await node.handle(CLOSE, (_stream, connection) => void connection.close())
  await node.handle(ABORT, (_stream, connection: Connection) => {
    connection.abort(new Error('asked to'))
  })
  return () => ({
    connections: node.getConnections().length,
    remotePeers: node.getConnections().map(({ remotePeer }) => remotePeer.toString()),
    holds: [...holds],
    sourceBytes,
  })
}

async function echo(stream: Stream): Promise<void> {
  for await (const bytes of stream) {
    if (!stream.send(bytes)) await drained(stream)
  }
  await stream.close()
}

async function count(stream: Stream): Promise<void> {
  let sizeBytes = 0
  for await (const bytes of stream) sizeBytes += bytes.byteLength
  stream.send(new TextEncoder().encode(String(sizeBytes)))
  await stream.close()
}

/** Like `stream.onDrain()`, whose promise stays resolved after the first drain. */
export function drained(stream: Stream): Promise<void> {
  return new Promise((resolve, reject) => {
    if (!stream.writableNeedsDrain) {
      resolve()
      return
    }
    stream.addEventListener('drain', () => resolve(), { once: true })
    stream.addEventListener('close', () => reject(new Error('closed while full')), { once: true })
  })
}
