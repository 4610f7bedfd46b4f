/** The registry gives readers what has changed since they last read, and hubs the state of their region. */
import { describe, expect, it } from 'vitest'
import { readSummary, packSummary } from '#worker/summary/summary-bytes.ts'
import { createRegistry, SUMMARY_EVERY_MS, type RegistryNews } from '#worker/summary/registry.ts'
import { createSqliteStorage } from '#test/support/sqlite-storage.ts'
import { nodeIn, summaryOf } from '#test/support/summary/summaries.ts'

function open(epoch = 'one') {
  let nowMs = 1_000
  const registry = createRegistry({ epoch, storage: createSqliteStorage(), nowMs: () => nowMs })
  const publish = (hub: string, nodes = 0, more: Partial<Parameters<typeof summaryOf>[0]> = {}) =>
    registry.publish(
      packSummary(
        summaryOf({
          hub,
          atMs: nowMs,
          nodes: Array.from({ length: nodes }, () => nodeIn('DE')),
          ...more,
        }),
      ),
    )
  return { registry, publish, wait: (ms: number) => void (nowMs += ms) }
}

const hubs = ({ summaries }: RegistryNews) => summaries.map((bytes) => readSummary(bytes).hub)

describe('the registry', () => {
  it('gives a first reader everything, and a later one only what has changed', () => {
    const { registry, publish } = open()
    publish('a-0')
    publish('a-1')
    const first = registry.read(null)
    expect(hubs(first)).toEqual(['a-0', 'a-1'])
    publish('a-0', 3)
    const second = registry.read(first)
    expect(hubs(second)).toEqual(['a-0'])
    expect(second.isWhole).toBe(false)
    expect(hubs(registry.read(second))).toEqual([])
  })

  it('keeps the later of two summaries of one hub, in whatever order they come', () => {
    const { registry, publish } = open()
    publish('a-0', 2, { atMs: 20 })
    publish('a-0', 1, { atMs: 10 })
    const [bytes] = registry.read(null).summaries
    expect(bytes && readSummary(bytes).atMs).toBe(20)
  })

  it('leaves out a hub that is silent for three periods, and says so to readers', () => {
    const { registry, publish, wait } = open()
    publish('a-0')
    publish('a-1')
    const first = registry.read(null)
    wait(2 * SUMMARY_EVERY_MS)
    publish('a-1')
    wait(SUMMARY_EVERY_MS + 1)
    expect(registry.read(first)).toMatchObject({ gone: ['a-0'], isWhole: false })
    expect(hubs(registry.read(null))).toEqual(['a-1'])
    expect(registry.hubs()).toEqual(['a-0', 'a-1'])
  })

  it('gives everything again to a reader of before a restart, or of before too many departures', () => {
    const { registry, publish, wait } = open('two')
    publish('a-0')
    expect(registry.read({ epoch: 'one', at: 99 })).toMatchObject({ epoch: 'two', isWhole: true })
    const early = registry.read(null)
    for (let n = 0; n < 600; n += 1) publish(`b-${n}`)
    wait(3 * SUMMARY_EVERY_MS + 1)
    publish('a-1')
    const late = registry.read(early)
    expect({ isWhole: late.isWhole, hubs: hubs(late) }).toEqual({ isWhole: true, hubs: ['a-1'] })
  })

  it('tells a hub its region’s nodes, and whether another hub takes nodes', () => {
    const { publish } = open()
    publish('a-0', 5)
    publish('a-1', 3)
    publish('a-2', 1, { isDraining: true })
    publish('a-3', 0, { capacity: 0 })
    publish('b-0')
    expect(publish('a-0', 5)).toMatchObject({ open: 3, nodes: 9, hasSeats: true })
    expect(publish('c-0', 3)).toMatchObject({ hasSeats: false })
    expect(publish('b-0')).toMatchObject({ open: 1, nodes: 0, hasSeats: false })
  })

  it('refuses bytes that are no summary', () => {
    expect(() => open().registry.publish(new Uint8Array(20))).toThrow(/^invalid_request/)
  })
})
