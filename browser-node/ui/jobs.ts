/** Fills the table of recent jobs. */
import { formatUsd } from '#shared/receipt/money.ts'
import type { JobRow } from '../node/protocol.ts'

const EMPTY = 'None yet. This list shows the kind of each job, never its contents.'

export function showJobs(body: HTMLElement, jobs: readonly JobRow[]): void {
  body.replaceChildren(...(jobs.length === 0 ? [emptyRow()] : jobs.map(jobRow)))
}

/** Writes at most three digits: `3.2 ms`, `118 ms`, `6.6 s`. */
function formatMs(ms: number): string {
  if (ms < 10) return `${ms.toFixed(1)} ms`
  return ms < 1000 ? `${Math.round(ms)} ms` : `${(ms / 1000).toFixed(1)} s`
}

function jobRow(job: JobRow): HTMLTableRowElement {
  const row = document.createElement('tr')
  const cells: [string, boolean][] = [
    [job.work === 'kernel' ? 'GPU kernel' : job.work, false],
    [job.provider, false],
    [formatMs(job.computeMs), true],
    [formatUsd(BigInt(job.amountMicroUsd)), true],
  ]
  for (const [text, isNumber] of cells) {
    const cell = row.insertCell()
    cell.textContent = text
    if (isNumber) cell.className = 'number'
  }
  return row
}

function emptyRow(): HTMLTableRowElement {
  const row = document.createElement('tr')
  row.className = 'none'
  const cell = row.insertCell()
  cell.colSpan = 4
  cell.textContent = EMPTY
  return row
}
