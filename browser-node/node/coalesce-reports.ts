/** Limits the rate of reports: sends the first of a kind at once, then only the latest one per interval. */
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
    // A later report replaces an earlier one of its kind. Deleting first keeps the order of arrival.
    waiting.delete(report.type)
    waiting.set(report.type, report)
    if (timer === undefined) flush()
  }
}
