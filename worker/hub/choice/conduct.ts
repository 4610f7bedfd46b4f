/** How nodes of one hub have kept to their jobs, over their reconnects too. In memory only. */
import { LIMITS } from '#shared/base/limits.ts'

/** A node that was silent gets work for this long only where no other node can take it. */
const SUSPECT_MS = 30_000
/** Jobs never ended that cost a node its place, and for how long. */
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
  /** Others are asked first for a while; nothing is counted. */
  suspect(nodeId: string): void
  /** It never ended a job that it was silent on. @returns whether it loses its place */
  silent(nodeId: string): boolean
  answered(nodeId: string): void
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
  const suspect = (nodeId: string, change: Partial<Record> = {}) =>
    keep(nodeId, { ...of(nodeId), answers: 0, suspectUntilMs: nowMs() + SUSPECT_MS, ...change })
  return {
    suspect: (nodeId) => suspect(nodeId),
    isSuspect: (nodeId) => of(nodeId).suspectUntilMs > nowMs(),
    barredMs: (nodeId) => Math.max(0, of(nodeId).barredUntilMs - nowMs()),
    silent(nodeId) {
      const silences = of(nodeId).silences + 1
      const isOut = silences >= SILENCES
      if (isOut) suspect(nodeId, { silences: 0, barredUntilMs: nowMs() + BARRED_MS })
      else suspect(nodeId, { silences })
      return isOut
    },
    answered(nodeId) {
      const record = records.get(nodeId)
      if (record === undefined) return
      const answers = record.answers + 1
      const isRedeemed = answers >= REDEEMED_BY && record.barredUntilMs <= nowMs()
      if (isRedeemed) records.delete(nodeId)
      else keep(nodeId, { ...record, answers, suspectUntilMs: 0 })
    },
  }
}
