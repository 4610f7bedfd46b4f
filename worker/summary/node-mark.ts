/** What one hub knows against a node, for the other hubs of its jurisdiction: the node must not shed it by moving. */

export interface NodeMark {
  readonly nodeId: string
  /** Why the node gets no work; null if it may not even return. */
  readonly reason: string | null
  /** When it ends. A mark that is over lifts an earlier one. */
  readonly untilMs: number
}

/** Nodes with marks that a hub or a registry remembers. */
export const MARKS_KEPT = 10_000
/** Marks in one message. */
export const MARKS_TOLD = 256
/** Characters of a reason. */
export const REASON_CHARS = 512
