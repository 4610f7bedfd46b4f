/** The registry's part in which hubs tell one another what they know against nodes. In memory only. */
import { BoundedMap } from '#shared/base/bounded-map.ts'
import { markKey, MARKS_KEPT, MARKS_TOLD, type NodeMark } from './node-mark.ts'
import type { MarksTold, RegionNews } from './registry.ts'

interface Kept {
  readonly mark: NodeMark
  readonly by: string
  readonly at: number
}

/** @param epoch differs after each restart, which forgets all marks; the hubs that heard them keep them */
export function createMarkBoard(epoch: string) {
  /** The newest last. */
  const kept = new BoundedMap<string, Kept>(MARKS_KEPT)
  let last = 0
  return {
    /** Takes a hub's marks, and gives it those of others that it has not read. */
    exchange(hub: string, told?: MarksTold): Pick<RegionNews, 'marks' | 'marksRead'> {
      for (const mark of told?.marks.slice(0, MARKS_TOLD) ?? []) {
        last += 1
        kept.set(markKey(mark), { mark, by: hub, at: last })
      }
      const since = told?.since?.epoch === epoch ? told.since.at : 0
      if (since === last) return { marks: [], marksRead: { epoch, at: last } }
      const fresh = [...kept.values()].filter(({ at, by }) => at > since && by !== hub)
      const shown = fresh.slice(0, MARKS_TOLD)
      const at = shown.length < fresh.length ? (shown.at(-1)?.at ?? last) : last
      return { marks: shown.map(({ mark }) => mark), marksRead: { epoch, at } }
    },
  }
}
