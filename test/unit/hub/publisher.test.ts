/** A hub publishes when something has changed, seldom otherwise, and never for a single job. */
import { describe, expect, it } from 'vitest'
import { silentLog } from '#shared/base/log.ts'
import { createPublisher, PUBLISH_CHECK_MS } from '#worker/hub/network/publisher.ts'
import type { HubSummary } from '#worker/summary/hub-summary.ts'
import { SUMMARY_EVERY_MS } from '#worker/summary/registry.ts'
import { nodeIn, summaryOf } from '#test/support/summary/summaries.ts'

const NEWS = { open: 1, nodes: 0, hasSeats: false, marks: [], marksRead: { epoch: '', at: 0 } }

function open() {
  let nowMs = 0
  let due: { readonly atMs: number; readonly fire: () => void } | undefined
  let summary: HubSummary = summaryOf({ hub: 'a-0', nodes: [nodeIn('DE', { maxJobs: 8 })] })
  let isDown = false
  const published: number[] = []
  const publisher = createPublisher({
    summarise: () => summary,
    publish: () => {
      if (isDown) return Promise.reject(new Error('no registry'))
      published.push(nowMs)
      return Promise.resolve(NEWS)
    },
    onNews: () => {},
    clock: {
      nowMs: () => nowMs,
      after(delayMs, fire) {
        due = { atMs: nowMs + delayMs, fire }
        return () => (due = undefined)
      },
    },
    random: () => 0,
    log: silentLog,
  })
  const run = async (ms: number) => {
    const untilMs = nowMs + ms
    while (due !== undefined && due.atMs <= untilMs) {
      const { atMs, fire } = due
      due = undefined
      nowMs = atMs
      fire()
      for (let turn = 0; turn < 8; turn += 1) await Promise.resolve()
    }
    nowMs = untilMs
  }
  return {
    publisher,
    published,
    run,
    change: (more: Partial<HubSummary>) => void (summary = { ...summary, ...more }),
    cut: (down: boolean) => void (isDown = down),
  }
}

describe('the publisher of a hub', () => {
  it('publishes at the start, then only to say that the hub is still there', async () => {
    const { run, published } = open()
    await run(SUMMARY_EVERY_MS * 3)
    expect(published).toHaveLength(4)
    for (const [at, ms] of published.entries())
      expect(ms - (published[at - 1] ?? ms)).toBeLessThanOrEqual(SUMMARY_EVERY_MS)
  })

  it('publishes once for all changes between two checks', async () => {
    const { run, published, publisher } = open()
    await run(PUBLISH_CHECK_MS / 2)
    for (let n = 0; n < 100; n += 1) publisher.changed()
    await run(PUBLISH_CHECK_MS * 3)
    expect(published).toHaveLength(2)
  })

  it('publishes when many slots were taken or jobs begin to wait, and not for one slot of many', async () => {
    const { run, published, change } = open()
    await run(1)
    change({ slots: { free: 100, all: 100 } })
    await run(PUBLISH_CHECK_MS)
    change({ slots: { free: 91, all: 100 } })
    await run(PUBLISH_CHECK_MS * 2)
    expect(published).toHaveLength(2)
    change({ slots: { free: 80, all: 100 } })
    await run(PUBLISH_CHECK_MS)
    change({ jobs: { active: 9, waiting: 1 } })
    await run(PUBLISH_CHECK_MS)
    expect(published).toHaveLength(4)
  })

  it('tries again at the next check when the registry does not answer, and stops when told', async () => {
    const { run, published, cut, publisher } = open()
    cut(true)
    await run(PUBLISH_CHECK_MS * 3)
    cut(false)
    await run(PUBLISH_CHECK_MS)
    expect(published).toHaveLength(1)
    publisher.changed()
    publisher.stop()
    await run(SUMMARY_EVERY_MS * 2)
    expect(published).toHaveLength(1)
  })
})
