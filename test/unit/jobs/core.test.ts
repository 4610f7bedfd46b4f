/** A batch from submission to erasure, with a clock and a network that the test controls. */
import { describe, expect, it } from 'vitest'
import { countryBit } from '#shared/law/region.ts'
import { codeOf } from '#test/support/storage/code-of.ts'
import type { ReducePlan } from '#worker/protocols/batch.ts'
import {
  createBatchBench,
  floats,
  rangeBatch,
  settle,
  startBatch,
} from '#test/support/storage/batch.ts'
import { JOBS_RETRY_MIN_MS, JOBS_ITEM_ATTEMPTS } from '#worker/jobs/authority/judge.ts'
import { DISPATCH_ATTEMPTS } from '#worker/protocols/hub.ts'
import { JOBS_HOPELESS_ITEMS } from '#worker/jobs/store/items.ts'
import { JOBS_WATCHDOG_MS } from '#worker/jobs/progress.ts'

/** The first byte of a job's payload is its index. */
const indexOf = ({ payload }: { readonly payload: Uint8Array }) => payload[0] ?? -1

describe('[B1] the items of a batch', () => {
  it('are ordinary jobs under the policy version of submission, each with its own and the shared bytes', async () => {
    const bench = createBatchBench()
    const [spec, input] = rangeBatch(3)
    bench.core.create(spec, input)
    await bench.ring()
    expect(bench.sent.map(indexOf)).toEqual([0, 1, 2])
    const [first, second] = bench.sent
    expect(first?.request).toMatchObject({
      tenant: 'acme',
      policy: { id: 'eu', version: 3, hash: spec.policy.hash },
      allowed: spec.allowed,
      units: 3,
      priceMicroUsd: 2,
    })
    expect(first?.request.jobId).not.toBe(second?.request.jobId)
    expect([...new Uint32Array(second?.payload.slice(0, 16).buffer ?? new ArrayBuffer())]).toEqual([
      1, 1, 2, 7,
    ])
    expect([...(second?.payload.slice(16) ?? [])]).toEqual([9, 9, 9, 9])
  })

  it('run as many at once as requested, and the next starts when one ends', async () => {
    const bench = await startBatch(9, { concurrency: 2 })
    expect(bench.sent.map(indexOf)).toEqual([0, 1])
    bench.sent[1]?.answer(floats(1))
    await settle()
    expect(bench.sent.map(indexOf)).toEqual([0, 2])
    expect(bench.status().counts).toMatchObject({ done: 1, running: 2, queued: 6 })
  })

  it('give results by index, with node, region and receipt, and a bill of the recorded answers', async () => {
    const bench = await startBatch(3)
    for (const job of bench.sent.toReversed()) job.answer(floats(indexOf(job)), `N${indexOf(job)}`)
    await settle()
    const { results, next } = bench.results({ after: -1, limit: 2 })
    expect(results.map(({ item }) => [item.index, item.node, item.region])).toEqual([
      [0, 'N0', 'DE'],
      [1, 'N1', 'DE'],
    ])
    expect(results.map(({ payload }) => [...payload])).toEqual([[...floats(0)], [...floats(1)]])
    expect(next).toBe(1)
    expect(bench.results({ after: 1, limit: 2 }).next).toBeNull()
    expect(bench.status()).toMatchObject({
      status: 'done',
      policy: 'eu@3',
      units: 9,
      amountMicroUsd: '18',
      countries: { DE: 3 },
      redone: 0,
    })
  })
})

describe('[B2] an item whose node is lost', () => {
  it('is sent again after a back-off, as further attempts of the same job', async () => {
    const bench = await startBatch(1)
    const first = bench.sent[0]?.request
    expect(first?.firstAttempt).toBe(1)
    bench.sent[0]?.lose('node_lost')
    await settle()
    expect(bench.sent).toEqual([])
    const waitMs = (bench.alarmMs ?? 0) - bench.nowMs
    expect(waitMs).toBeGreaterThanOrEqual(JOBS_RETRY_MIN_MS / 2)
    expect(waitMs).toBeLessThanOrEqual(JOBS_RETRY_MIN_MS)
    await bench.ring()
    expect(bench.sent[0]?.request).toMatchObject({
      jobId: first?.jobId,
      firstAttempt: 1 + DISPATCH_ATTEMPTS,
    })
    await bench.answer(floats(1))
    expect(bench.status()).toMatchObject({ status: 'done', redone: 1 })
  })

  it('fails after the last attempt, and the batch with it', async () => {
    const bench = createBatchBench()
    bench.core.create(...rangeBatch(2))
    let attempts = 0
    while (bench.status().status === 'running') {
      await bench.ring()
      for (const job of bench.sent.slice()) {
        if (indexOf(job) === 1) job.answer(floats(1))
        else {
          attempts += 1
          job.lose('node_lost')
        }
      }
      await settle()
    }
    expect(attempts).toBe(JOBS_ITEM_ATTEMPTS)
    expect(bench.status()).toMatchObject({
      status: 'failed',
      counts: { done: 1, failed: 1 },
      failures: [{ index: 0, code: 'node_lost' }],
    })
  })

  it('is not tried again when the fault is in the work itself', async () => {
    const bench = await startBatch(1)
    bench.sent[0]?.lose('invalid_request')
    await settle()
    expect(bench.status()).toMatchObject({ status: 'failed', redone: 0 })
  })

  it('ends the batch early when the first sixteen fail and none is done', async () => {
    const bench = await startBatch(1_000)
    let tried = 0
    while (bench.sent.length > 0) {
      tried += 1
      bench.sent[0]?.lose('invalid_request')
      await settle()
    }
    expect(tried).toBeLessThan(JOBS_HOPELESS_ITEMS + 4)
    expect(bench.status()).toMatchObject({
      status: 'failed',
      counts: { failed: 1_000, queued: 0 },
    })
  })
})

describe('[B4] a process that is killed', () => {
  it('loses no answer: items under way are sent again, and each is recorded once', async () => {
    const bench = await startBatch(4)
    await bench.answer(floats(0))
    const lost = bench.sent.slice()
    expect(lost.map(indexOf)).toEqual([1, 2, 3])
    // The alarm set before the work began wakes the new object.
    expect(bench.alarmMs).toBe(bench.nowMs + JOBS_WATCHDOG_MS)
    bench.kill()
    await bench.ring()
    expect(bench.sent.map(indexOf)).toEqual([1, 2, 3])
    // A lost answer may have left a receipt. It is of the same job, so one of the two is paid [L3].
    const idsOf = (jobs: typeof lost) => jobs.map(({ request }) => request.jobId)
    expect(idsOf(bench.sent)).toEqual(idsOf(lost))
    expect(bench.sent.every(({ request }) => (request.firstAttempt ?? 1) > 1)).toBe(true)
    // Answers of the first dispatches are ignored.
    for (const job of lost) job.answer(floats(99), 'ghost')
    for (const job of bench.sent.slice()) job.answer(floats(indexOf(job)))
    await settle()
    const { results } = bench.results({ after: -1, limit: 10 })
    expect(results.map(({ payload }) => [...payload])).toEqual(
      [0, 1, 2, 3].map((index) => [...floats(index)]),
    )
    expect(bench.status()).toMatchObject({ status: 'done', redone: 3 })
  })

  it('is the same batch when it is created again', async () => {
    const bench = await startBatch(1)
    await bench.answer(floats(5))
    expect(bench.core.create(...rangeBatch(1)).status).toBe('done')
  })
})

describe('[B5] cancelling', () => {
  it('cancels the jobs under way, and records no later answer', async () => {
    const bench = await startBatch(10)
    await bench.answer(floats(0))
    const running = bench.sent.slice()
    const status = bench.core.cancel()
    expect(running.every(({ signal }) => signal.aborted)).toBe(true)
    expect(status).toMatchObject({
      status: 'cancelled',
      counts: { done: 1, cancelled: 9, queued: 0, running: 0 },
    })
    await settle()
    expect(bench.sent).toEqual([])
    expect(bench.results({ after: -1, limit: 100 }).results).toHaveLength(10)
    expect(bench.core.cancel().status).toBe('cancelled')
  })
})

describe('[B6] results', () => {
  it('are erased when acknowledged, and cannot be acknowledged before the end', async () => {
    const bench = await startBatch(1)
    expect(codeOf(() => bench.core.acknowledge())).toBe('invalid_request')
    await bench.answer(floats(1))
    expect(bench.core.acknowledge().status).toBe('done')
    expect(codeOf(() => bench.status())).toBe('not_found')
    await bench.ring()
    expect(bench.forgotten).toHaveLength(1)
    expect(
      bench.storage.sql.exec("SELECT * FROM sqlite_master WHERE type = 'table'").toArray(),
    ).toEqual([])
    expect(bench.alarmMs).toBeNull()
  })

  it('are erased when their retention ends', async () => {
    const bench = await startBatch(1)
    await bench.answer(floats(1))
    expect(bench.alarmMs).toBe(bench.nowMs + 3_600_000)
    await bench.ring()
    expect(codeOf(() => bench.status())).toBe('not_found')
    expect(bench.forgotten).toHaveLength(1)
  })

  it('leave no input after the end', async () => {
    const bench = await startBatch(2)
    for (const job of bench.sent.slice()) job.answer(floats(1))
    await settle()
    const names = bench.storage.sql.exec('SELECT DISTINCT name FROM blobs').toArray()
    expect(names.map(({ name }) => name)).toEqual(['out:0', 'out:1'])
  })

  it('cannot be read from where the policy forbids requests', () => {
    const bench = createBatchBench()
    const [spec, input] = rangeBatch(1)
    const onlyGermany = { ...spec.policy, ingress: spec.allowed }
    bench.core.create({ ...spec, policy: onlyGermany }, input)
    const us = countryBit('US')
    expect(codeOf(() => bench.core.status(us))).toBe('residency_ingress_denied')
    expect(codeOf(() => bench.core.results({ after: -1, limit: 1 }, us))).toBe(
      'residency_ingress_denied',
    )
    expect(bench.status().status).toBe('running')
  })

  it('do not exist without a batch', () => {
    const bench = createBatchBench()
    expect(codeOf(() => bench.status())).toBe('not_found')
    expect(codeOf(() => bench.core.cancel())).toBe('not_found')
    expect(bench.storage.sql.exec('SELECT * FROM sqlite_master').toArray()).toEqual([])
  })
})

describe('[B7] reducing', () => {
  it('sums in f64 by index, whatever the order of the answers', async () => {
    const sums = []
    for (const order of [
      [0, 1, 2],
      [2, 0, 1],
    ]) {
      const reduce = { kind: 'named', op: 'sum', output: 'binding:1', datatype: 'FP32' } as const
      const bench = await startBatch(3, { reduce })
      const jobs = bench.sent.slice()
      const values = [1e8, 1, -1e8]
      for (const index of order) {
        jobs.find((job) => indexOf(job) === index)?.answer(floats(values[index] ?? 0))
        await settle()
      }
      const { outputs, payload } = bench.result('reduced')
      expect(outputs).toEqual([{ name: 'reduced', datatype: 'FP64', shape: [1], sizeBytes: 8 }])
      sums.push(new Float64Array(payload.slice().buffer)[0])
    }
    expect(sums).toEqual([1, 1])
  })

  it('by a kernel is one more job, whose own bytes are all outputs by index', async () => {
    const [{ template }] = rangeBatch(2)
    if (template === null) throw new Error('no template')
    const work = {
      ...template.work,
      buffers: [
        { binding: 0, access: 'read', sizeBytes: 8, filled: true, return: false },
        { binding: 1, access: 'read_write', sizeBytes: 4, filled: false, return: true },
      ],
    } as const
    const reduce: ReducePlan = {
      kind: 'kernel',
      output: 'binding:1',
      template: {
        work: { ...work, buffers: [...work.buffers] },
        parts: [{ source: 'own', sizeBytes: 8 }],
        units: 5,
      },
    }
    const bench = await startBatch(2, { reduce })
    for (const job of bench.sent.toReversed()) job.answer(floats(10 + indexOf(job)))
    await settle()
    expect(bench.status().status).toBe('reducing')
    expect([...(bench.sent[0]?.payload ?? [])]).toEqual([...floats(10, 11)])
    await bench.answer(floats(21))
    expect(bench.status()).toMatchObject({ status: 'done', units: 11 })
    const { item, payload } = bench.result('reduced')
    expect([...payload]).toEqual([...floats(21)])
    expect(item.receipt).not.toBeNull()
  })

  it('fails with the reason when the outputs differ in length', async () => {
    const reduce = { kind: 'named', op: 'mean', output: 'binding:1', datatype: 'FP32' } as const
    const bench = await startBatch(2, { reduce })
    const [first, second] = bench.sent.slice()
    first?.answer(floats(1))
    second?.answer(floats(1, 2))
    await settle()
    expect(bench.status()).toMatchObject({
      status: 'failed',
      waiting: { code: 'invalid_request' },
    })
    expect(bench.results({ after: -1, limit: 10 }).results).toHaveLength(2)
  })
})
