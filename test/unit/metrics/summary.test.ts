/** One line a minute in place of one for each job. */
import { describe, expect, it } from 'vitest'
import { createLog } from '#shared/base/log.ts'
import { createSummary, SUMMARY_MS } from '#worker/metrics/summary.ts'
import { createCountedClock } from '#test/support/counted-clock.ts'

function open() {
  const lines: Record<string, unknown>[] = []
  const log = createLog({ write: (line) => lines.push(JSON.parse(line) as never) })
  const clock = createCountedClock()
  const more = () => ({ outboxReceipts: 3 })
  return { clock, lines, summary: createSummary({ log, event: 'jobs.ended', clock, more }) }
}

describe('the summary of a minute', () => {
  it('has the counts by outcome and the spread of the times, within a tenth', () => {
    const { summary, clock, lines } = open()
    for (let ms = 1; ms <= 1_000; ms += 1) summary.count('answered', { queue: ms, compute: 0.2 })
    summary.count('no_capacity')
    expect(lines).toEqual([])
    clock.advance(SUMMARY_MS)
    expect(lines).toHaveLength(1)
    const [line = {}] = lines
    expect(line).toMatchObject({
      event: 'jobs.ended',
      answered: 1_000,
      no_capacity: 1,
      computeP50Ms: 1,
      outboxReceipts: 3,
    })
    expect(line['queueP50Ms']).toBeGreaterThanOrEqual(500)
    expect(line['queueP50Ms']).toBeLessThanOrEqual(550)
    expect(line['queueP99Ms']).toBeGreaterThanOrEqual(990)
    expect(line['queueP99Ms']).toBeLessThanOrEqual(1_089)
  })

  it('starts anew each minute, and is not written where nothing ended', () => {
    const { summary, clock, lines } = open()
    summary.count('answered', { queue: 5 })
    clock.advance(3 * SUMMARY_MS)
    summary.count('node_lost')
    clock.advance(SUMMARY_MS)
    expect(lines).toHaveLength(2)
    expect(lines[0]).toMatchObject({ answered: 1 })
    expect(lines[1]).toMatchObject({ node_lost: 1 })
    expect(lines[1]).not.toHaveProperty('queueP50Ms')
    expect(clock.timersSet).toBe(2)
  })
})
