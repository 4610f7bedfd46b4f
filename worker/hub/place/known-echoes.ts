/** Echoes of nodes that are here or may come back: a reconnect neither costs a node its evidence nor frees it of a refutation. */
import { BoundedMap } from '#shared/base/bounded-map.ts'
import type { SignedEcho } from '#shared/place/evidence.ts'
import { LIMITS } from '#shared/base/limits.ts'

export interface KnownEchoes {
  of(nodeId: string): readonly SignedEcho[]
  add(echo: SignedEcho): void
}

/** The best of each anchor is the conclusion's business; here the newest few are kept. */
export function createKnownEchoes(): KnownEchoes {
  const known = new BoundedMap<string, SignedEcho[]>(LIMITS.echoNodes)
  return {
    of: (nodeId) => known.get(nodeId) ?? [],
    add(echo) {
      const { nodeId } = echo.statement
      const before = known.get(nodeId) ?? []
      known.set(nodeId, [...before, echo].slice(-2 * LIMITS.evidenceAnchors))
    },
  }
}
