/** How nodes of one hub have kept to their jobs, over their reconnects too. In memory only. */
import { LIMITS } from '#shared/base/limits.ts'

/** A node that was silent gets work for this long only where no other node can take it. */
const SUSPECT_MS = 30_000
/** Silences that cost a node its place, and for how long. */
const SILENCES = 2
const BARRED_MS = 600_000
/** Answers after which an earlier silence is forgotten. */
const REDEEMED_BY = 32

interface Record {
  readonly silences: number
  readonly answers: number
  readonly suspectUntilMs: number
  readonly barredUntilMs: number
}

const NEW: Record = { silences: 0, answers: 0, suspectUntilMs: 0, barredUntilMs: 0 }

export interface Conduct {
  /** @param counts whether it was past what the work should take @returns whether the node loses its place */
  silent(nodeId: string, counts: boolean): boolean
  /** @param isLate whether that very job had been counted as a silence */
  answered(nodeId: string, isLate: boolean): void
  isSuspect(nodeId: string): boolean
  /** How long the node may not come back, in ms. */
  barredMs(nodeId: string): number
}

export function createConduct(nowMs: () => number): Conduct {
  const records = new Map<string, Record>()
  const of = (nodeId: string) => records.get(nodeId) ?? NEW
  const keep = (nodeId: string, record: Record) => {
    records.delete(nodeId)
    records.set(nodeId, record)
    const [oldest] = records.keys()
    if (records.size > LIMITS.quarantineKept && oldest !== undefined) records.delete(oldest)
  }
  return {
    isSuspect: (nodeId) => of(nodeId).suspectUntilMs > nowMs(),
    barredMs: (nodeId) => Math.max(0, of(nodeId).barredUntilMs - nowMs()),
    silent(nodeId, counts) {
      const record = of(nodeId)
      const silences = record.silences + (counts ? 1 : 0)
      const isOut = silences >= SILENCES
      keep(nodeId, {
        silences: isOut ? 0 : silences,
        answers: 0,
        suspectUntilMs: nowMs() + SUSPECT_MS,
        barredUntilMs: isOut ? nowMs() + BARRED_MS : record.barredUntilMs,
      })
      return isOut
    },
    answered(nodeId, isLate) {
      const record = records.get(nodeId)
      if (record === undefined) return
      const answers = record.answers + 1
      const silences = Math.max(0, record.silences - (isLate ? 1 : 0))
      const isRedeemed = answers >= REDEEMED_BY && record.barredUntilMs <= nowMs()
      if (isRedeemed) records.delete(nodeId)
      else keep(nodeId, { ...record, silences, answers, suspectUntilMs: 0 })
    },
  }
}
