/** The space that a tenant's batches may take. Rules: docs/design/batches.md. */
import { describe, expect, it } from 'vitest'
import { toAppError } from '#shared/base/errors.ts'
import { TenantId } from '#shared/base/ids.ts'
import { openDatabase } from '#worker/tenant/log/database.ts'
import { createBatchIndex, JOBS_KEPT_BYTES } from '#worker/tenant/log/batch-index.ts'
import { BatchId, JOBS_OUTPUT_BYTES } from '#worker/protocols/batch.ts'
import { reservedBytes } from '#worker/api/jobs/size.ts'
import { floats, rangeBatch, settle, startBatch } from '#test/support/storage/batch.ts'
import { createSqliteStorage } from '#test/support/sqlite-storage.ts'

const HOUR_MS = 3_600_000
const idOf = (n: number) => BatchId.parse(`batch_${n.toString(16).padStart(32, '0')}`)

function createIndex() {
  let nowMs = 0
  const deps = {
    storage: createSqliteStorage(),
    nowMs: () => nowMs,
    random: (sizeBytes: number) => new Uint8Array(sizeBytes),
  }
  const database = openDatabase(deps)
  database.create(TenantId.parse('acme'))
  const index = createBatchIndex(database, deps)
  const add = (n: number, sizeBytes: number) => {
    try {
      index.add(idOf(n), { eraseAtMs: nowMs + HOUR_MS, sizeBytes })
      return 'taken'
    } catch (error) {
      const { code, meta } = toAppError(error)
      return `${code} ${String(meta.rule)}`
    }
  }
  return { index, add, pass: (durationMs: number) => (nowMs += durationMs) }
}

describe('[B13] the batches of a tenant', () => {
  const third = Math.floor(JOBS_KEPT_BYTES / 3) - 10

  it('stay within the space of the tenant; ended, removed and expired batches free some', () => {
    const { index, add, pass } = createIndex()
    expect([1, 2, 3].map((n) => add(n, third))).toEqual(['taken', 'taken', 'taken'])
    expect(add(4, third)).toBe('rate_limited jobs.kept_bytes')
    index.resize(idOf(1), 10)
    expect(add(4, third)).toBe('taken')
    expect(add(5, third)).toBe('rate_limited jobs.kept_bytes')
    index.remove(idOf(2))
    expect(add(5, third)).toBe('taken')
    expect(add(6, third)).toBe('rate_limited jobs.kept_bytes')
    pass(HOUR_MS)
    expect([6, 7, 8].map((n) => add(n, third))).toEqual(['taken', 'taken', 'taken'])
  })

  it('cannot grow by a resize', () => {
    const { index, add } = createIndex()
    add(1, 5)
    index.resize(idOf(1), JOBS_KEPT_BYTES)
    index.resize(idOf(2), JOBS_KEPT_BYTES)
    expect(add(3, JOBS_KEPT_BYTES - 5)).toBe('taken')
  })
})

describe('[B13] a batch', () => {
  it('reserves its inputs and results, and the maximum when the size is unknown', () => {
    const [spec, input] = rangeBatch(9)
    expect(reservedBytes(spec, input)).toBe(4 + 9 * 4)
    expect(reservedBytes({ ...spec, items: 10_000_000_000 }, input)).toBe(4 + JOBS_OUTPUT_BYTES)
    const bytes = new Uint8Array(7)
    const models = { ...input, items: [{ work: null, units: 1, bytes }] }
    expect(reservedBytes({ ...spec, template: null }, models)).toBe(4 + 7 + JOBS_OUTPUT_BYTES)
  })

  it('tells its tenant after the end what it keeps, and repeats that until it succeeds', async () => {
    const bench = await startBatch(3)
    expect(bench.resized).toEqual([])
    bench.canResize = false
    for (const job of bench.sent.toReversed()) job.answer(floats(1))
    await settle()
    expect(bench.resized).toEqual([])
    bench.canResize = true
    await bench.ring()
    expect(bench.resized).toEqual([12])
    await bench.ring()
    expect(bench.resized).toEqual([12])
  })
})
