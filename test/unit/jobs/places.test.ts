/** A batch for which the network has no slot at present, or no fitting node. */
import { describe, expect, it } from 'vitest'
import { floats, settle, startBatch } from '#test/support/storage/batch.ts'
import { JOBS_ITEM_ATTEMPTS } from '#worker/jobs/authority/judge.ts'
import { JOBS_UNSATISFIED_MS } from '#worker/jobs/run/runner.ts'

const UNSATISFIED = { rule: 'compute.allow', needed: 'a node in FR' }

describe('[B3] a network without a slot for the batch', () => {
  it('is waited for without counting failures, and one item tries first', async () => {
    const bench = await startBatch(4)
    expect(bench.sent.length).toBe(4)
    await bench.loseAll('no_capacity')
    for (let round = 0; round <= JOBS_ITEM_ATTEMPTS; round += 1) {
      await bench.ring()
      expect(bench.sent.length).toBe(1)
      await bench.loseAll('no_capacity')
    }
    expect(bench.status()).toMatchObject({
      status: 'running',
      counts: { queued: 4 },
      waiting: { code: 'no_capacity' },
      redone: 0,
    })
    await bench.ring()
    await bench.answer(floats(1))
    expect(bench.sent.length).toBe(3)
    expect(bench.status().waiting).toBeNull()
  })

  it('is waited for until the deadline, and the error names what was missing', async () => {
    const bench = await startBatch(2, { deadlineMs: 60_000 })
    const startMs = bench.nowMs
    await bench.loseAll('no_capacity')
    while (bench.status().status === 'running') {
      await bench.ring()
      await bench.loseAll('no_capacity')
    }
    expect(bench.nowMs - startMs).toBe(60_000)
    expect(bench.status()).toMatchObject({
      status: 'failed',
      failures: [{ code: 'no_capacity' }, { code: 'no_capacity' }],
    })
  })

  it('ends the batch at once, with the rule, when the policy allows none of the nodes', async () => {
    const bench = await startBatch(100)
    const startMs = bench.nowMs
    await bench.loseAll('residency_unsatisfiable', UNSATISFIED)
    expect(bench.nowMs).toBe(startMs)
    expect(bench.sent).toEqual([])
    const status = bench.status()
    expect(status).toMatchObject({ status: 'failed', counts: { failed: 100 } })
    expect(status.failures[0]).toMatchObject({ code: 'residency_unsatisfiable', ...UNSATISFIED })
  })

  it('ends the batch at once when only a feature is missing, but not because a node says so', async () => {
    const meta = { rule: 'kernel.requires', needed: 'a node with f16' }
    for (const lacksFeatures of [true, false]) {
      const bench = await startBatch(100)
      await bench.loseAll('no_capacity', meta, { lacksFeatures })
      const status = bench.status()
      expect(status.status).toBe(lacksFeatures ? 'failed' : 'running')
      expect(lacksFeatures ? status.failures[0] : status.waiting).toMatchObject(meta)
    }
  })

  it('is waited for a minute when a node was allowed before', async () => {
    const bench = await startBatch(3)
    await bench.answer(floats(1))
    const startMs = bench.nowMs
    const refuse = async () => {
      await bench.loseAll('residency_unsatisfiable', UNSATISFIED)
    }
    await refuse()
    while (bench.status().status === 'running') {
      expect(bench.status().waiting).toMatchObject(UNSATISFIED)
      await bench.ring()
      await refuse()
    }
    expect(bench.nowMs - startMs).toBeGreaterThanOrEqual(JOBS_UNSATISFIED_MS)
    expect(bench.nowMs - startMs).toBeLessThan(2 * JOBS_UNSATISFIED_MS)
    expect(bench.status()).toMatchObject({
      status: 'failed',
      counts: { done: 1, failed: 2 },
    })
  })

  it('lets the batch go on when the allowed node returns in time', async () => {
    const bench = await startBatch(2)
    await bench.answer(floats(1))
    bench.sent[0]?.lose('residency_unsatisfiable', UNSATISFIED)
    await settle()
    await bench.ring()
    await bench.answer(floats(1))
    expect(bench.status().status).toBe('done')
  })

  it('is not waited for when no hub may keep the records', async () => {
    const bench = await startBatch(1)
    bench.sent[0]?.lose('residency_unsatisfiable', { rule: 'storage.jurisdiction' })
    await settle()
    expect(bench.status().status).toBe('failed')
  })
})
