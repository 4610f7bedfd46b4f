/** Has a node measured by anchors: a short connection to each, which carries only echoes. */
import type { Connection, PrivateKey } from '@libp2p/interface'
import type { Multiaddr } from '@multiformats/multiaddr'
import { ECHO_PROTOCOL, serveEchoes } from '#p2p/work/echo.ts'
import { peerIdOf, type createPeerNode } from '#p2p/peers/node.ts'
import { LIMITS } from '#shared/base/limits.ts'
import type { Log } from '#shared/base/log.ts'

type PeerNode = Awaited<ReturnType<typeof createPeerNode>>

export interface MeasuredNode {
  readonly node: PeerNode
  readonly identity: PrivateKey
  readonly log: Log
}

/** Lets anchors that this node has dialled measure it. */
export async function answerAnchors({ node, identity, log }: MeasuredNode): Promise<void> {
  const nodeId = peerIdOf(identity)
  await node.handle(
    ECHO_PROTOCOL,
    (stream, { remotePeer }) => {
      const parties = { anchorPeerId: remotePeer.toString(), nodeId }
      serveEchoes(stream, parties, identity).catch((error: unknown) =>
        log.debug('echo.ended', { cause: String(error) }),
      )
    },
    { force: true },
  )
}

/** Visits anchors one by one, and skips those it cannot reach. The node's own hub uses the work stream. */
export async function visitAnchors(
  anchors: readonly Multiaddr[],
  { node, log }: Pick<MeasuredNode, 'node' | 'log'>,
  signal: AbortSignal,
): Promise<void> {
  for (const address of anchors.slice(0, LIMITS.anchors)) {
    signal.throwIfAborted()
    const peer = address.getComponents().findLast(({ name }) => name === 'p2p')?.value
    const isKnown = node.getConnections().some(({ remotePeer }) => remotePeer.toString() === peer)
    if (isKnown || peer === undefined) continue
    try {
      await visit(node, address, signal)
    } catch (error) {
      log.debug('anchor.unreachable', { anchor: peer, cause: String(error) })
    }
  }
}

async function visit(node: PeerNode, address: Multiaddr, signal: AbortSignal): Promise<void> {
  const late = AbortSignal.timeout(LIMITS.openTimeoutMs + LIMITS.echoRunMs)
  const connection = await node.dial(address, { signal: AbortSignal.any([signal, late]) })
  await untilClosed(connection, AbortSignal.any([signal, late]))
}

/** The anchor closes the connection when it has measured enough. */
async function untilClosed(connection: Connection, signal: AbortSignal): Promise<void> {
  const { promise, resolve } = Promise.withResolvers<void>()
  connection.addEventListener('close', () => resolve())
  signal.addEventListener('abort', () => resolve())
  if (connection.status !== 'open' || signal.aborted) resolve()
  await promise
  if (connection.status === 'open') connection.abort(new Error('measured long enough'))
}
