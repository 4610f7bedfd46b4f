/** Tests for every libp2p transport of Littoral: rules T1 to T7 of docs/design/network.md. */
import type { Connection, Stream } from '@libp2p/interface'
import { multiaddr, type Multiaddr } from '@multiformats/multiaddr'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import type { LittoralNode } from '#p2p/peers/node.ts'
import { until } from '#test/support/poll.ts'
import {
  ABORT,
  CLOSE,
  drained,
  ECHO,
  HOLD,
  RELEASE,
  SINK,
  SOURCE,
  SOURCE_BYTES,
  type PeerView,
} from '#test/support/transport/transport-peer.ts'
import { seededBytes } from '#test/support/hub/work.ts'
import { MIB } from '#shared/base/limits.ts'

export interface TransportUnderTest {
  readonly address: Multiaddr
  /** An address of the same kind where nobody listens. */
  readonly deadAddress: Multiaddr
  /** A fresh dialler with an identity of its own. */
  createDialer(): Promise<LittoralNode>
  view(): Promise<PeerView & { readonly peerId: string }>
  close(): Promise<void>
}

export function transportSuite(name: string, setUp: () => Promise<TransportUnderTest>): void {
  describe(name, () => {
    let peer: TransportUnderTest
    let dialer: LittoralNode
    let connection: Connection
    beforeAll(async () => {
      peer = await setUp()
      dialer = await peer.createDialer()
    })
    afterAll(async () => {
      await dialer.stop()
      await peer.close()
    })

    const dial = async () => {
      connection = await dialer.dial(peer.address)
      return connection
    }

    test('[T1] a dial connects two peers that know each other by key', async () => {
      await dial()
      expect(connection.remotePeer.toString()).toBe((await peer.view()).peerId)
      const [self, seen] = [dialer.peerId.toString(), async () => (await peer.view()).remotePeers]
      await until('the peer to know us', async () => (await seen()).join() === self)
      expect(connection.encryption).toBe('/noise')
      expect(connection.multiplexer).toBe('/yamux/1.0.0')
    })

    test('[T2] one large message arrives whole', async () => {
      await dial()
      const sent = seededBytes(16 * MIB)
      expect(await echoed(connection, [sent])).toBe(0)
    })

    test('[T2] ten thousand small messages arrive in order', async () => {
      await dial()
      const all = seededBytes(10_000 * 37, 2)
      const messages = Array.from({ length: 10_000 }, (_, at) =>
        all.subarray(at * 37, (at + 1) * 37),
      )
      expect(await echoed(connection, messages)).toBe(0)
    })

    test('[T2] twenty streams at once keep their bytes apart', async () => {
      await dial()
      const results = await Promise.all(
        Array.from({ length: 20 }, (_, at) =>
          echoed(connection, [seededBytes(200_000 + at, at), seededBytes(1_000, at + 100)]),
        ),
      )
      expect(results).toEqual(results.map(() => 0))
    })

    test('[T3] a reader that stops reading stops the writer, and loses nothing', async () => {
      await dial()
      const stream = await connection.newStream(SINK)
      const piece = seededBytes(64 * 1024)
      let sentBytes = 0
      // 64 MiB is far more than all buffers on the way hold.
      while (sentBytes < 64 * MIB) {
        const canSendMore = stream.send(piece)
        sentBytes += piece.byteLength
        if (!canSendMore) break
      }
      expect(sentBytes).toBeLessThan(20 * MIB)
      expect(stream.writableNeedsDrain).toBe(true)
      const answer = readAll(stream)
      const release = await connection.newStream(RELEASE)
      await release.close()
      for (let more = 0; more < 32; more += 1) {
        await drained(stream)
        stream.send(piece)
        sentBytes += piece.byteLength
      }
      await stream.close()
      expect(new TextDecoder().decode(await answer)).toBe(String(sentBytes))
    })

    test('[T3] a dialler that stops reading stops the peer, and loses nothing', async () => {
      await dial()
      const stream = await connection.newStream(SOURCE)
      stream.pause()
      let before = -1
      await until('the peer to stop', async () => {
        const { sourceBytes } = await peer.view()
        const hasStopped = sourceBytes > 0 && sourceBytes === before
        before = sourceBytes
        return hasStopped
      })
      expect(before).toBeLessThan(SOURCE_BYTES)
      expect((await readAll(stream)).byteLength).toBe(SOURCE_BYTES)
    })

    test('[T4] a close by the dialler is orderly at both ends', async () => {
      await dial()
      const before = (await peer.view()).holds.length
      const stream = await connection.newStream(HOLD)
      const closed = endOf(connection)
      stream.send(seededBytes(1000))
      await stream.close()
      await until('the peer to see the stream end', async () => {
        const { holds } = await peer.view()
        return holds.length > before && holds.at(-1) === 'closed'
      })
      await connection.close()
      expect(await closed).toBe('closed')
      await until('the peer to drop it', async () => (await peer.view()).connections === 0)
    })

    test('[T4] a close by the peer is orderly at the dialler', async () => {
      await dial()
      const closed = endOf(connection)
      await connection.newStream(CLOSE).catch(() => {})
      expect(await closed).toBe('closed')
      await until('no connection', () => dialer.getConnections().length === 0)
    })

    test('[T5] an abort by the dialler breaks its streams at the peer', async () => {
      await dial()
      const before = (await peer.view()).holds.length
      const stream = await connection.newStream(HOLD)
      stream.send(seededBytes(1000))
      await until('the stream to stand', async () => (await peer.view()).connections === 1)
      connection.abort(new Error('cut'))
      expect(stream.status).not.toBe('open')
      await until('the peer to drop it', async () => {
        const { connections, holds } = await peer.view()
        return connections === 0 && holds.length > before
      })
    })

    test('[T5] an abort by the peer ends the streams of the dialler', async () => {
      await dial()
      const held = await connection.newStream(HOLD)
      const ended = endOf(connection)
      await connection.newStream(ABORT).catch(() => {})
      await ended
      await until('the held stream to end', () => held.status !== 'open')
      await until('no connection', () => dialer.getConnections().length === 0)
    })

    test('[T6] a dial where nobody listens rejects with an Error', async () => {
      const failure = await dialer.dial(peer.deadAddress).catch((error: unknown) => error)
      expect(failure).toBeInstanceOf(Error)
    })

    test('[T6] a dial that was aborted rejects and leaves no connection', async () => {
      const abort = new AbortController()
      const dialling = dialer.dial(peer.address, { signal: abort.signal, force: true })
      abort.abort()
      const failure = await dialling.catch((error: unknown) => error)
      expect(failure).toBeInstanceOf(Error)
      await until('no connection', () => dialer.getConnections().length === 0)
      await until('none at the peer', async () => (await peer.view()).connections === 0)
    })

    test('[T7] connections that open and close leave nothing behind', async () => {
      for (let round = 0; round < 20; round += 1) {
        await dial()
        expect(await echoed(connection, [seededBytes(1000, round)])).toBe(0)
        await (round % 2 === 0 ? connection.close() : connection.abort(new Error('cut')))
      }
      await until('none at the peer', async () => (await peer.view()).connections === 0)
    })
  })
}

/** Sends the messages through the peer's echo. @returns 0 when every byte came back in order */
async function echoed(connection: Connection, messages: readonly Uint8Array[]): Promise<number> {
  const stream = await connection.newStream(ECHO)
  const back = readAll(stream)
  for (const message of messages) {
    await drained(stream)
    stream.send(message)
  }
  await stream.close()
  return Buffer.compare(Buffer.concat(messages), await back)
}

async function readAll(stream: Stream): Promise<Uint8Array> {
  const chunks: Uint8Array[] = []
  if (stream.readStatus === 'paused') stream.resume()
  for await (const bytes of stream) chunks.push(bytes.subarray())
  return Buffer.concat(chunks)
}

function endOf(connection: Connection): Promise<'closed' | 'broken'> {
  return new Promise((resolve) => {
    connection.addEventListener('close', (event) =>
      resolve(event.error === undefined ? 'closed' : 'broken'),
    )
  })
}

/** An address on this machine that refuses: port 9 (discard) has no listener. */
export const REFUSING = multiaddr('/ip4/127.0.0.1/tcp/9/ws')
