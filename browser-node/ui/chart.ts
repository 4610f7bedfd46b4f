/** A bar chart of jobs per minute. */

const WIDTH = 300
const HEIGHT = 72
const GAP = 2
/** Keeps a minute with one job visible beside minutes with many. */
const LEAST_HEIGHT = 3

export function drawChart(svg: SVGElement, minutes: readonly number[]): void {
  const most = Math.max(...minutes, 1)
  const step = WIDTH / minutes.length
  const bars = minutes.flatMap((jobs, index) => {
    if (jobs === 0) return []
    const height = Math.max(LEAST_HEIGHT, (jobs / most) * HEIGHT)
    const bar = document.createElementNS('http://www.w3.org/2000/svg', 'rect')
    const place = { x: index * step, y: HEIGHT - height, width: step - GAP, height }
    for (const [name, value] of Object.entries(place)) bar.setAttribute(name, value.toFixed(2))
    return [bar]
  })
  svg.replaceChildren(...bars)
  svg.setAttribute('aria-label', describeMinutes(minutes))
}

export function describePeak(minutes: readonly number[]): string {
  const most = Math.max(...minutes)
  return most === 0 ? 'none yet' : `peak ${most}`
}

function describeMinutes(minutes: readonly number[]): string {
  const total = minutes.reduce((sum, jobs) => sum + jobs, 0)
  if (total === 0) return 'No jobs in the last 30 minutes'
  return `${total} jobs in the last 30 minutes, at most ${Math.max(...minutes)} in one minute, ${minutes.at(-1) ?? 0} in the current one`
}
