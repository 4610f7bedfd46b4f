/** Remembers how reliably each node has answered, across reconnects. In memory only. */
import { BoundedMap } from '#shared/base/bounded-map.ts'

export const QUARANTINE_KEPT = 10_000

/** For this long a silent node gets work only if no other node can take it. */
const SUSPECT_MS = 30_000
/** The same after a job that ended without an answer. Each failure doubles it, up to MOST_FAILURES times. */
const DOUBT_MS = 2_000
const MOST_FAILURES = 6
/** Jobs never ended after which a node is disconnected, and for how long. */
const SILENCES = 2
const BARRED_MS = 600_000
/** Answers after which an earlier silence is forgotten. */
const REDEEMED_BY = 32

interface Record {
  readonly silences: number
  readonly answers: number
  readonly suspectUntilMs: number
  readonly barredUntilMs: number
  /** Jobs ended without an answer. Each answer halves the count. */
  readonly failures: number
  readonly doubtUntilMs: number
}

const NEW: Record = {
  silences: 0,
  answers: 0,
  suspectUntilMs: 0,
  barredUntilMs: 0,
  failures: 0,
  doubtUntilMs: 0,
}

export interface Conduct {
  /** Other nodes are preferred for a while. Nothing is counted. */
  suspect(nodeId: string): void
  /** The node ended a job without an answer. Failures within the doubt of an earlier one count once. */
  failed(nodeId: string): void
  failures(nodeId: string): number
  /** The node never ended a job that it was silent on. @returns whether it is disconnected */
  silent(nodeId: string): boolean
  answered(nodeId: string): void
  isSuspect(nodeId: string): boolean
  /** Whether it ended a job without an answer a moment ago. */
  isDoubted(nodeId: string): boolean
  /** How long the node may not come back, in ms. */
  barredMs(nodeId: string): number
}

export function createConduct(nowMs: () => number): Conduct {
  const records = new BoundedMap<string, Record>(QUARANTINE_KEPT)
  const of = (nodeId: string) => records.get(nodeId) ?? NEW
  const doubted = (record: Record): Record => {
    if (record.doubtUntilMs > nowMs()) return record
    const failures = Math.min(record.failures + 1, MOST_FAILURES)
    return { ...record, failures, doubtUntilMs: nowMs() + DOUBT_MS * 2 ** (failures - 1) }
  }
  const suspect = (nodeId: string, change: Partial<Record> = {}) => {
    const suspectUntilMs = nowMs() + SUSPECT_MS
    records.set(nodeId, { ...doubted(of(nodeId)), answers: 0, suspectUntilMs, ...change })
  }
  return {
    suspect: (nodeId) => suspect(nodeId),
    failed: (nodeId) => void records.set(nodeId, doubted(of(nodeId))),
    failures: (nodeId) => of(nodeId).failures,
    isDoubted: (nodeId) => of(nodeId).doubtUntilMs > nowMs(),
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
      else {
        const failures = Math.floor(record.failures / 2)
        records.set(nodeId, { ...record, answers, failures, suspectUntilMs: 0, doubtUntilMs: 0 })
      }
    },
  }
}
