/** Marks of nodes: those that this hub has to tell the others, and those that the others have told it. In memory only. */
import { BoundedMap } from '#shared/base/bounded-map.ts'
import {
  markKey,
  MARKS_KEPT,
  MARKS_TOLD,
  REASON_CHARS,
  type NodeMark,
} from '#worker/summary/node-mark.ts'

/** A quarantine counts at other hubs for this long. */
const QUARANTINE_MS = 3_600_000

export type Marks = ReturnType<typeof createMarks>

export function createMarks(nowMs: () => number) {
  const heard = new BoundedMap<string, NodeMark>(MARKS_KEPT)
  const untold = new BoundedMap<string, NodeMark>(MARKS_KEPT)
  const tell = (mark: NodeMark) => void untold.set(markKey(mark), mark)
  const current = (about: Pick<NodeMark, 'nodeId' | 'reason'>): NodeMark | undefined => {
    const mark = heard.get(markKey(about))
    return mark !== undefined && mark.untilMs > nowMs() ? mark : undefined
  }
  return {
    quarantined: (nodeId: string, reason: string): void =>
      tell({ nodeId, reason: reason.slice(0, REASON_CHARS), untilMs: nowMs() + QUARANTINE_MS }),
    barred: (nodeId: string, forMs: number): void =>
      tell({ nodeId, reason: null, untilMs: nowMs() + forMs }),
    /** The reason of another hub for which the node gets no work here. */
    quarantineOf: (nodeId: string): string | null =>
      current({ nodeId, reason: '' })?.reason ?? null,
    /** Time in which the node may not enter, by another hub, in ms. */
    barredMs: (nodeId: string): number =>
      (current({ nodeId, reason: null })?.untilMs ?? nowMs()) - nowMs(),
    heed(marks: readonly NodeMark[]): void {
      for (const mark of marks) heard.set(markKey(mark), mark)
    },
    /** Takes the marks to tell, oldest first. Those that could not be told are given back by {@link giveBack}. */
    take(): NodeMark[] {
      const told = [...untold.values()].slice(0, MARKS_TOLD)
      for (const mark of told) untold.delete(markKey(mark))
      return told
    },
    giveBack(marks: readonly NodeMark[]): void {
      for (const mark of marks) if (!untold.has(markKey(mark))) tell(mark)
    },
  }
}
