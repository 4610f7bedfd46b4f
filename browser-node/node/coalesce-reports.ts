/** Thins out reports: the first of a kind goes at once, later ones of that kind once an interval, the last one always. */
import type { Report } from './protocol.ts'

export function coalesceReports(
  send: (report: Report) => void,
  everyMs: number,
): (report: Report) => void {
  const waiting = new Map<Report['type'], Report>()
  let timer: ReturnType<typeof setTimeout> | undefined
  const flush = () => {
    timer = undefined
    if (waiting.size === 0) return
    timer = setTimeout(flush, everyMs)
    for (const report of waiting.values()) send(report)
    waiting.clear()
  }
  return (report) => {
    // A later word of one kind says all that an earlier one said; what came last is sent last.
    waiting.delete(report.type)
    waiting.set(report.type, report)
    if (timer === undefined) flush()
  }
}
