/** Formats a report as text: ratios first, then the figures behind them. */
import type { BenchResult, Figure, Ratio, Section } from './harness.ts'
import type { Machine } from './machine.ts'

export interface Report {
  readonly takenAt: string
  readonly command: string
  readonly quick: boolean
  readonly machine: Machine
  /** GPU adapters of the nodes. */
  readonly adapters: readonly string[]
  readonly benches: readonly BenchResult[]
}

export function formatReport(report: Report): string {
  const { cpu, cores, memoryGiB, system, node, workerd } = report.machine
  const adapters = report.adapters.length === 0 ? 'none used' : report.adapters.join(', ')
  return [
    `\n${cpu}, ${cores} cores, ${memoryGiB} GiB, ${system}; Node ${node}, workerd ${workerd}; adapter ${adapters}`,
    ...report.benches.map(formatBench),
  ].join('\n')
}

function formatBench(bench: BenchResult): string {
  const width = Math.max(...Object.keys(bench.includes).map((name) => name.length))
  return [
    `\n${bench.name}: ${bench.title}`,
    ...bench.sections.map(formatSection),
    '\n  What they include',
    ...Object.entries(bench.includes).map(([name, text]) => `    ${name.padEnd(width)}  ${text}`),
    ...bench.notes.map((note) => `  ${note}`),
  ].join('\n')
}

function formatSection({ name, ratios, figures }: Section): string {
  return [
    `\n  ${name}`,
    ...table(
      ['ratio', 'of', 'median', 'min–max by round'],
      ratios.map((ratio) => [
        `${ratio.of} ÷ ${ratio.to}`,
        metricsOf(ratio),
        `${digits(ratio.median)}×`,
        `${digits(ratio.min)}–${digits(ratio.max)}`,
      ]),
    ),
    '',
    ...table(['figure', '', 'median', 'p5–p95', 'p99', 'samples'], figures.map(figureRow)),
  ].join('\n')
}

function metricsOf({ metric, peerMetric }: Ratio): string {
  return peerMetric === undefined ? label(metric) : `${label(metric)} ÷ ${label(peerMetric)}`
}

function figureRow({ contender, metric, median, p5, p95, p99, count }: Figure): string[] {
  const unit = metric.endsWith('Ms') ? ' ms' : ''
  const spread = count === 1 ? '' : `${digits(p5)}–${digits(p95)}`
  // A hundredth of fewer samples is none.
  const tail = count < TAIL_SAMPLES ? '' : digits(p99)
  return [contender, label(metric), `${digits(median)}${unit}`, spread, tail, String(count)]
}

const TAIL_SAMPLES = 100

/** `answeringCpuMs` → `answering cpu`. */
function label(metric: string): string {
  return metric
    .replace(/Ms$/, '')
    .replaceAll(/[A-Z]/g, (letter) => ` ${letter.toLowerCase()}`)
    .replace('cpu', 'CPU')
}

function digits(value: number): string {
  return value >= 1000 ? value.toFixed(0) : value.toPrecision(3)
}

function table(head: readonly string[], rows: readonly (readonly string[])[]): string[] {
  const widths = head.map((title, column) =>
    Math.max(title.length, ...rows.map((row) => (row[column] ?? '').length)),
  )
  return [head, ...rows].map((row) =>
    `    ${row.map((cell, column) => cell.padEnd(widths[column] ?? 0)).join('   ')}`.trimEnd(),
  )
}
