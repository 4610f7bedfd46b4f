/**
 * What one hub holds against a node's conduct, for the other hubs of its jurisdiction: the node must not shed it by moving.
 * A refuted place is no mark, because each hub concludes it from evidence of its own.
 */

export interface NodeMark {
  readonly nodeId: string
  /** Why the node gets no work; null if it may not even return. */
  readonly reason: string | null
  readonly untilMs: number
}

/** A bar and a quarantine of one node are two marks, so that neither ends the other. */
export function markKey({ nodeId, reason }: Pick<NodeMark, 'nodeId' | 'reason'>): string {
  return `${reason === null ? 'bar' : 'quarantine'} ${nodeId}`
}

/** Nodes with marks that a hub or a registry remembers. */
export const MARKS_KEPT = 10_000
/** Marks in one message. */
export const MARKS_TOLD = 256
/** Characters of a reason. */
export const REASON_CHARS = 512
