/** Echoes of nodes, kept across reconnects: a node neither loses its evidence nor sheds a refutation. */
import { BoundedMap } from '#shared/base/bounded-map.ts'
import type { SignedEcho } from '#shared/place/evidence.ts'
import { LIMITS } from '#shared/base/limits.ts'

/** Nodes whose echoes one hub remembers. */
const ECHO_NODES = 2_000

export type KnownEchoes = ReturnType<typeof createKnownEchoes>

/** Keeps the newest few. `concludeEvidence` picks the best of each anchor. */
export function createKnownEchoes() {
  const known = new BoundedMap<string, SignedEcho[]>(ECHO_NODES)
  return {
    of: (nodeId: string): readonly SignedEcho[] => known.get(nodeId) ?? [],
    add(echo: SignedEcho): void {
      const { nodeId } = echo.statement
      const before = known.get(nodeId) ?? []
      known.set(nodeId, [...before, echo].slice(-2 * LIMITS.evidenceAnchors))
    },
  }
}
