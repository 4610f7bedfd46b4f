/** A batch under random answers, losses, pauses and kills always ends, and counts each item once. */
import { describe, expect, it } from 'vitest'
import type { ErrorCode } from '#shared/base/errors.ts'
import {
  createBatchBench,
  floats,
  GERMANY,
  rangeBatch,
  settle,
} from '#test/support/storage/batch.ts'
import { createRandom } from '../../support/random.ts'

const RUNS = 40
const LOSSES: readonly ErrorCode[] = ['node_lost', 'node_timeout', 'internal', 'no_capacity']

async function run(seed: number): Promise<void> {
  const random = createRandom(seed)
  const bench = createBatchBench(seed)
  const items = 1 + random.below(40)
  const concurrency = 1 + random.below(12)
  const reduce = { kind: 'named', op: 'sum', output: 'binding:1', datatype: 'FP32' } as const
  bench.core.create(...rangeBatch(items, { concurrency, reduce, deadlineMs: 86_400_000 }))
  const isCancelled = random.chance(0.1)
  const mostKills = random.below(6)
  let kills = 0
  let steps = 0
  /** Recorded items at the last step, by the status. */
  let done = 0
  while (bench.status().status === 'running') {
    steps += 1
    expect(steps).toBeLessThan(2_000)
    expect(bench.sent.length).toBeLessThanOrEqual(concurrency)
    const { counts } = bench.status()
    expect(counts.done).toBeGreaterThanOrEqual(done)
    expect(counts.queued + counts.running + counts.done + counts.failed).toBe(items)
    done = counts.done
    const indices = bench.sent.map(({ payload }) => payload[0])
    expect(new Set(indices).size).toBe(indices.length)
    if (isCancelled && steps > 20) {
      bench.core.cancel()
      await settle()
      break
    }
    if (kills < mostKills && random.chance(0.05)) {
      kills += 1
      bench.kill()
    }
    if (bench.sent.length === 0 || random.chance(0.1)) {
      if (bench.alarmMs !== null) await bench.ring()
      continue
    }
    const job = bench.sent[random.below(bench.sent.length)]
    bench.nowMs += random.below(2_000)
    // Losses are so rare that no item reaches its last attempt.
    if (random.chance(0.08)) job?.lose(LOSSES[random.below(LOSSES.length)] ?? 'node_lost')
    else job?.answer(floats((job.payload[0] ?? 0) + 1), `N${random.below(3)}`)
    await settle()
  }
  const status = bench.status()
  const { results } = bench.results({ after: -1, limit: 1_000 })
  const answered = results.filter(({ item }) => item.status === 'done')
  for (const { item, payload } of answered)
    expect([...payload]).toEqual([...floats(item.index + 1)])
  expect(results.map(({ item }) => item.index)).toEqual([...Array(items).keys()])
  expect(status.units).toBe(answered.length * 3)
  expect(status.amountMicroUsd).toBe(String(answered.length * 6))
  const { ended } = bench.core.events({ after: 0, limit: 1_000 }, GERMANY)
  expect(ended.map(({ item }) => item.index).toSorted((a, b) => a - b)).toEqual([
    ...Array(items).keys(),
  ])
  expect(new Set(ended.map(({ seq }) => seq)).size).toBe(items)
  if (isCancelled && status.status === 'cancelled') return
  expect(status).toMatchObject({ status: 'done', counts: { done: items } })
  const { payload } = bench.result('reduced')
  expect(new Float64Array(payload.slice().buffer)[0]).toBe((items * (items + 1)) / 2)
}

describe('a batch under random trouble', () => {
  it(`ends with every item once in ${RUNS} seeded runs`, async () => {
    for (let seed = 1; seed <= RUNS; seed += 1) {
      try {
        await run(seed)
      } catch (cause) {
        throw new Error(`seed ${seed}`, { cause })
      }
    }
  })
})
