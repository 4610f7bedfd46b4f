/** Echoes of nodes that are here or may come back: a reconnect neither costs a node its evidence nor frees it of a refutation. */
import type { SignedEcho } from '#shared/place/evidence.ts'
import { LIMITS } from '#shared/base/limits.ts'

export interface KnownEchoes {
  of(nodeId: string): readonly SignedEcho[]
  add(echo: SignedEcho): void
}

/** The best of each anchor is the conclusion's business; here the newest few are kept. */
export function createKnownEchoes(): KnownEchoes {
  const known = new Map<string, SignedEcho[]>()
  return {
    of: (nodeId) => known.get(nodeId) ?? [],
    add(echo) {
      const { nodeId } = echo.statement
      const before = known.get(nodeId) ?? []
      known.delete(nodeId)
      known.set(nodeId, [...before, echo].slice(-2 * LIMITS.evidenceAnchors))
      const [oldest] = known.keys()
      if (known.size > LIMITS.echoNodes && oldest !== undefined) known.delete(oldest)
    },
  }
}
