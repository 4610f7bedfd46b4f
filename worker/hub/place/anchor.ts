/** A hub as an anchor: it measures its own nodes over their work streams, others on separate connections. */
import type { Connection } from '@libp2p/interface'
import { ECHO_PROTOCOL, measureStream, type EchoResult } from '#p2p/work/echo.ts'
import { systemClock } from '#p2p/stream/clock.ts'
import type { WorkLink } from '#p2p/work/work-client.ts'
import { errorCode } from '#shared/base/errors.ts'
import { signEcho, type AnchorPlace, type SignedEcho } from '#shared/place/evidence.ts'
import { randomBytes, type NodeId } from '#shared/base/ids.ts'
import { LIMITS } from '#shared/base/limits.ts'
import type { Log } from '#shared/base/log.ts'
import type { Signer } from '#shared/proof/signature.ts'
import type { Admission } from '#worker/protocols/hub.ts'

export interface AnchorDeps {
  readonly hub: string
  readonly peerId: NodeId
  readonly place: AnchorPlace
  readonly signer: Signer
  /** Largest lag of the runtime's clock behind real time, in ms; 1 in workerd. */
  readonly clockResolutionMs: number
  /** @default LIMITS.echoEveryMs */
  readonly echoEveryMs?: number | undefined
  readonly now: () => number
  readonly log: Log
}

export type Measured = Pick<Admission, 'nodeId' | 'transportRttMs'>

export interface Anchor {
  /** Measures a member repeatedly while its link lasts, and hands over each signed result. */
  attend(link: WorkLink, node: Measured, onEcho: (echo: SignedEcho) => void): void
  /** Measures a visiting node once. @throws {AppError} node_timeout, node_lost, invalid_request, forbidden */
  measure(connection: Connection, node: Measured): Promise<SignedEcho>
}

export function createAnchor(deps: AnchorDeps): Anchor {
  const { hub, peerId, place, signer, clockResolutionMs, now, log } = deps
  const { echoEveryMs = LIMITS.echoEveryMs } = deps
  const about = ({ nodeId }: Measured) => ({
    nodeId,
    anchorPeerId: peerId,
    clockResolutionMs,
    randomBytes,
  })
  const sign = ({ nodeId, transportRttMs }: Measured, result: EchoResult) =>
    signEcho(
      {
        version: 1,
        nodeId,
        anchor: hub,
        anchorPeerId: peerId,
        place,
        transportRttMs,
        measuredAtMs: now(),
        ...result,
      },
      signer,
    )
  return {
    attend(link, node, onEcho) {
      const measure = async (): Promise<void> => {
        try {
          onEcho(await sign(node, await link.measure(about(node))))
        } catch (error) {
          log.warn('echo.failed', { nodeId: node.nodeId, code: errorCode(error) ?? 'internal' })
        }
      }
      void measure()
      const timer = setInterval(() => void measure(), echoEveryMs)
      void link.closed.then(() => clearInterval(timer))
    },
    async measure(connection, node) {
      const stream = await connection.newStream(ECHO_PROTOCOL, {
        signal: AbortSignal.timeout(LIMITS.openTimeoutMs),
      })
      const clock = systemClock
      return await sign(node, await measureStream(stream, { ...about(node), clock, log }))
    },
  }
}
