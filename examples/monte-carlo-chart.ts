/** Draws the study as an SVG chart: shares that come through with their error bars, and how the error shrinks. */
import type { Estimate } from './monte-carlo-shield.ts'

export interface ChartData {
  readonly thicknesses: readonly number[]
  readonly estimates: readonly Estimate[]
  /** Exact shares for a slab that only absorbs, for comparison. */
  readonly exact: readonly number[]
  /** Estimates for one thickness after 2, 3, … items. */
  readonly convergence: readonly Estimate[]
  readonly convergesAt: number
  readonly caption: string
}

const [WIDTH, HEIGHT] = [960, 420]
const PLOT = { left: 70, right: 20, top: 48, bottom: 78, width: 450 }

export function drawChart(data: ChartData): string {
  return `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 ${WIDTH} ${HEIGHT}" width="${WIDTH}" height="${HEIGHT}" font-family="system-ui, sans-serif" font-size="13" fill="#1d2733">
<rect width="${WIDTH}" height="${HEIGHT}" fill="#fff"/>
<text x="${PLOT.left}" y="26" font-size="16" font-weight="600">Neutrons through a slab, ± one standard error</text>
${drawTransmission(data)}
<text x="${PLOT.left + PLOT.width + 60}" y="26" font-size="16" font-weight="600">Convergence at ${data.convergesAt} mean free paths</text>
${drawConvergence(data)}
<text x="${PLOT.left}" y="${HEIGHT - 8}" fill="#5b6878">${data.caption}</text>
</svg>
`
}

interface Frame {
  readonly x: (value: number) => number
  readonly y: (value: number) => number
}

const bottom = HEIGHT - PLOT.bottom

function drawTransmission({ thicknesses, estimates, exact }: ChartData): string {
  const most = Math.max(...thicknesses)
  const decades = Math.ceil(-Math.log10(Math.min(...exact.filter((share) => share > 0))))
  const frame: Frame = {
    x: (value) => PLOT.left + (value / most) * (PLOT.width - 20),
    y: (value) => PLOT.top - (Math.log10(Math.max(value, 1e-12)) / decades) * (bottom - PLOT.top),
  }
  const grid = Array.from({ length: decades + 1 }, (_, i) => {
    const y = frame.y(10 ** -i)
    return `${line(PLOT.left, y, PLOT.left + PLOT.width, y, '#e3e8ee')}<text x="${PLOT.left - 8}" y="${y + 4}" text-anchor="end">10<tspan dy="-5" font-size="9">${i === 0 ? '0' : `−${i}`}</tspan></text>`
  })
  const ticks = thicknesses
    .filter((value) => Number.isInteger(value))
    .map(
      (value) =>
        `<text x="${frame.x(value)}" y="${bottom + 18}" text-anchor="middle">${value}</text>`,
    )
  const points = thicknesses.map((value, i) => {
    const { mean = 0, standardError = 0 } = estimates[i] ?? {}
    return errorBar(frame, { at: value, mean, standardError })
  })
  const curve = thicknesses.map((value, i) => `${frame.x(value)},${frame.y(exact[i] ?? 0)}`)
  return [
    ...grid,
    ...ticks,
    `<polyline points="${curve.join(' ')}" fill="none" stroke="#9aa7b5" stroke-width="2" stroke-dasharray="5 4"/>`,
    ...points,
    `<text x="${PLOT.left + PLOT.width / 2}" y="${bottom + 36}" text-anchor="middle">thickness in mean free paths</text>`,
    legend(PLOT.left + 210, PLOT.top + 16),
  ].join('\n')
}

function legend(x: number, y: number): string {
  return `<circle cx="${x}" cy="${y}" r="4" fill="#0b6bcb"/><text x="${x + 14}" y="${y + 4}">with scattering, simulated</text>
${line(x - 8, y + 22, x + 8, y + 22, '#9aa7b5', 'stroke-width="2" stroke-dasharray="5 4"')}<text x="${x + 14}" y="${y + 26}">absorption alone, exact</text>`
}

function drawConvergence({ convergence }: ChartData): string {
  const last = convergence.at(-1)
  if (last === undefined) return ''
  const left = PLOT.left + PLOT.width + 60
  const right = WIDTH - PLOT.right
  const reach =
    1.15 *
    Math.max(...convergence.slice(4).map((e) => Math.abs(e.mean - last.mean) + e.standardError))
  const frame: Frame = {
    x: (value) => left + (value / (convergence.length + 1)) * (right - left),
    y: (value) =>
      (PLOT.top + bottom) / 2 - ((value - last.mean) / reach) * ((bottom - PLOT.top) / 2),
  }
  const clamp = (y: number) => Math.min(bottom, Math.max(PLOT.top, y))
  const path = (value: (e: Estimate) => number) =>
    convergence.map((e, i) => `${frame.x(i + 2)},${clamp(frame.y(value(e)))}`)
  const upper = path((e) => e.mean + e.standardError)
  const lower = path((e) => e.mean - e.standardError).toReversed()
  const labels = [-0.8, 0, 0.8].map((share) => {
    const value = last.mean + share * reach
    const y = frame.y(value)
    return `${line(left, y, right, y, '#e3e8ee')}<text x="${left - 6}" y="${y + 4}" text-anchor="end" font-size="11">${value.toPrecision(3)}</text>`
  })
  return [
    ...labels,
    `<polygon points="${[...upper, ...lower].join(' ')}" fill="#0b6bcb" opacity="0.16"/>`,
    `<polyline points="${path((e) => e.mean).join(' ')}" fill="none" stroke="#0b6bcb" stroke-width="2"/>`,
    `<text x="${(left + right) / 2}" y="${bottom + 36}" text-anchor="middle">items taken together, of ${convergence.length + 1}</text>`,
  ].join('\n')
}

function errorBar(
  { x, y }: Frame,
  { at, mean, standardError }: Estimate & { readonly at: number },
): string {
  if (mean <= 0) return ''
  const [high, low] = [y(mean + standardError), y(Math.max(mean - standardError, mean / 10))]
  const cap = (level: number) => line(x(at) - 4, level, x(at) + 4, level, '#0b6bcb')
  return `${line(x(at), high, x(at), low, '#0b6bcb')}${cap(high)}${cap(low)}<circle cx="${x(at)}" cy="${y(mean)}" r="2.4" fill="#0b6bcb"/>`
}

function line(x1: number, y1: number, x2: number, y2: number, colour: string, more = ''): string {
  return `<line x1="${x1}" y1="${y1}" x2="${x2}" y2="${y2}" stroke="${colour}" ${more}/>`
}
