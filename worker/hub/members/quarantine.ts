/** What a node is told about itself, and whether its own words agree. */
import type { Member } from './directory.ts'

/** Tells the node its place, and why it gets no work. */
export function tellConclusion({ link, evidence, quarantine }: Member): void {
  link.tell({
    place: evidence.place(),
    quarantine,
    reasons: [...(evidence.record()?.reasons ?? [])],
  })
}

/** Why the node gets no work with the claim of its presence record. */
export function otherClaim({ presence, admission }: Member): string | null {
  if (presence.claim === admission.claim) return null
  return `The presence record claims ${presence.claim}; the node was admitted with ${admission.claim}.`
}
