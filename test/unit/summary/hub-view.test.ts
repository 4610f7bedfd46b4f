/** An isolate's copy of the summaries: read in parts, kept over faults and restarts of the registry. */
import { describe, expect, it } from 'vitest'
import { JURISDICTIONS } from '#shared/law/policy.ts'
import { createHubView, VIEW_AGE_MS } from '#worker/summary/hub-view.ts'
import { createRegistry, SUMMARY_MAX_AGE_MS, type Reading } from '#worker/summary/registry.ts'
import { packSummary } from '#worker/summary/summary-bytes.ts'
import { createSqliteStorage } from '#test/support/sqlite-storage.ts'
import { canKeep, nodeIn, regionOf, summaryOf } from '#test/support/summary/summaries.ts'

function open() {
  let nowMs = 1_000_000
  const at = () => nowMs
  const start = (epoch: string) =>
    createRegistry({ epoch, storage: createSqliteStorage(), nowMs: at })
  let registry = start('one')
  let isDown = false
  const read: number[] = []
  const view = createHubView({
    regions: [regionOf('eu', { shards: 9 })],
    keepers: new Map(
      JURISDICTIONS.map((storage) => [
        storage,
        new Set(JURISDICTIONS.filter((each) => canKeep(storage, each))),
      ]),
    ),
    homes: ['any'],
    nowMs: at,
  })
  return {
    view,
    read,
    names: () => [...view.table.all()].map(({ name }) => name).toSorted(),
    publish: (hub: string, nodes = 0) =>
      registry.publish(
        packSummary(
          summaryOf({ hub, atMs: nowMs, nodes: Array.from({ length: nodes }, () => nodeIn('DE')) }),
        ),
      ),
    refresh: () =>
      view.refresh(async (_home, since: Reading | null) => {
        if (isDown) throw new Error('no answer')
        const news = registry.read(since)
        read.push(news.summaries.length)
        return news
      }),
    restart: (epoch: string) => void (registry = start(epoch)),
    cut: (down: boolean) => void (isDown = down),
    wait: (ms: number) => void (nowMs += ms),
  }
}

describe('the copy of an isolate', () => {
  it('reads everything once, then only what has changed', async () => {
    const { publish, refresh, read, names, wait } = open()
    publish('eu-0')
    publish('eu-1')
    await refresh()
    wait(10)
    publish('eu-1', 2)
    await refresh()
    await refresh()
    expect(read).toEqual([2, 1, 0])
    expect(names()).toEqual(['eu-0', 'eu-1'])
  })

  it('keeps what it knows while the registry does not answer, and says which fault it met', async () => {
    const { publish, refresh, names, cut } = open()
    publish('eu-0')
    await refresh()
    cut(true)
    expect((await refresh()).map(String)).toEqual(['Error: no answer'])
    expect(names()).toEqual(['eu-0'])
  })

  it('forgets a hub that is silent, also one that fell silent while the registry restarted', async () => {
    const { publish, refresh, names, restart, wait } = open()
    publish('eu-0')
    publish('eu-1')
    publish('eu-2')
    await refresh()
    wait(SUMMARY_MAX_AGE_MS / 2)
    publish('eu-0')
    publish('eu-1')
    wait(SUMMARY_MAX_AGE_MS / 2 + 1)
    await refresh()
    expect(names()).toEqual(['eu-0', 'eu-1'])
    restart('two')
    publish('eu-0')
    await refresh()
    expect(names()).toEqual(['eu-0', 'eu-1'])
    wait(SUMMARY_MAX_AGE_MS + 1)
    publish('eu-0')
    await refresh()
    expect(names()).toEqual(['eu-0'])
  })

  it('is read again after three seconds, by one reader at a time', async () => {
    const { view, refresh, wait } = open()
    expect(view.isNew(1_000)).toBe(true)
    const reading = refresh()
    wait(VIEW_AGE_MS)
    expect(view.isOlderThan(VIEW_AGE_MS)).toBe(false)
    await reading
    expect(view.isNew(1_000)).toBe(false)
    wait(VIEW_AGE_MS)
    expect(view.isOlderThan(VIEW_AGE_MS)).toBe(false)
    wait(1)
    expect(view.isOlderThan(VIEW_AGE_MS)).toBe(true)
  })
})
