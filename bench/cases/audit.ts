/** Measures a long audit log: appending to it, the size of its proofs, and the verification of bundles. */
import { openSchema } from '#worker/platform/schema.ts'
import { TENANT_SCHEMA } from '#worker/tenant/log/schema.ts'
import { createHash } from 'node:crypto'
import { join } from 'node:path'
import { verifyBundle } from '#shared/verify/whole.ts'
import { verifyReceipt } from '#shared/verify/receipt.ts'
import type { AuditEvent } from '#shared/audit/entries.ts'
import { admissionOf, placementOf } from '#shared/audit/receipt.ts'
import { invariant } from '#shared/base/errors.ts'
import { randomBytes } from '#shared/base/ids.ts'
import type { SignedReceipt } from '#shared/receipt/receipt.ts'
import { consistencyProof, inclusionProof } from '#shared/proof/tree.ts'
import { createReceiptMaker } from '#test/support/hub/receipts.ts'
import { createSqliteStorage } from '#test/support/sqlite-storage.ts'
import { createAuditStore, type Kept } from '#worker/tenant/log/audit-store.ts'
import type { Binding } from '#worker/platform/storage.ts'
import { makeBundle } from '#test/support/storage/bundle.ts'
import { measureMonth } from '../audit/measure-month.ts'
import { measureRecord } from '../audit/measure-record.ts'
import type { BenchContext } from '../harness/context.ts'
import {
  measureSection,
  type BenchResult,
  type Contender,
  type Section,
} from '../harness/harness.ts'

const JOBS_A_BATCH = 100
const DOMAIN = { chainId: 31_337, verifyingContract: `0x${'5e'.repeat(20)}` } as const
const DUE_MS = 2_000_000_000_000

type Storage = ReturnType<typeof createSqliteStorage>

export async function measureAudit({ dir, log: told, quick }: BenchContext): Promise<BenchResult> {
  const size = quick ? 20_000 : 1_000_000
  const rounds = quick ? 2 : 15
  const storage = createSqliteStorage({ path: join(dir, 'audit.sqlite') })
  try {
    const log = openLog(storage)
    const events = eventsOf(await makeReceipts())
    fill(storage, { log, size, events })
    const sections = [
      await measureAppend(storage, { log, size, events, rounds }),
      await measureProofs({ log, size, rounds: quick ? 1 : 5 }),
      await measureRecord(dir, rounds * 4),
      await measureVerify(rounds, quick ? 20 : 200),
      await measureMonth({ dir, log: told }, quick ? 1_000 : 100_000),
    ]
    return {
      name: 'audit',
      title: `a log of ${size.toLocaleString('en')} entries, and bundles of it`,
      sections,
      includes: {
        'audit log':
          'salted commitment of each detail, leaf, tiles of the Merkle tree, row and indexes, one transaction',
        'plain SQLite': 'the same details as rows with the same indexes, one transaction',
        'receipts recorded by a tenant':
          'reading the bytes, first receipts, records by hash, row, counts, two log entries; alone: each in a transaction',
        'kept hashes': 'a proof from the tiles that the log stores, including their reading',
        'hashed anew': 'only the root over the same number of leaf hashes, by node:crypto',
        bundle:
          'the inclusion of each entry, each job as below, evidence, and the log root in the batch',
        'export of bundle':
          'entries of one month and policy, by curl from a real Worker into a file',
        'verification of bundle':
          'that file, as a stream, against the chain, in a process of its own',
        'export of placements': 'entries of one month and type as CSV, by curl into a file',
        'receipts alone': 'the same receipts, checked one by one: signatures, policy, place, batch',
      },
      notes: [
        'SQLite in a file, WAL, in Node; a Durable Object writes the same statements.',
        'Proof bytes count hashes of 32 bytes; JSON takes twice as many.',
        `A batch has the admissions and placements of ${JOBS_A_BATCH} jobs: ${2 * JOBS_A_BATCH} entries.`,
      ],
    }
  } finally {
    storage.close()
  }
}

function openLog(storage: Storage) {
  const rows = (query: string, ...bindings: Binding[]) =>
    storage.sql.exec(query, ...bindings).toArray()
  openSchema(storage, TENANT_SCHEMA)
  rows(
    'CREATE TABLE plain (sequence INTEGER PRIMARY KEY, at_ms INTEGER, type TEXT, detail TEXT, job TEXT, erase_at_ms INTEGER)',
  )
  rows('CREATE INDEX plain_by_job ON plain (job) WHERE job IS NOT NULL')
  rows('CREATE INDEX plain_by_age ON plain (erase_at_ms) WHERE erase_at_ms IS NOT NULL')
  return createAuditStore(rows, { nowMs: () => Date.now(), random: randomBytes })
}

type Log = ReturnType<typeof openLog>

async function makeReceipts(): Promise<SignedReceipt[]> {
  const maker = await createReceiptMaker(DOMAIN)
  return Promise.all(Array.from({ length: JOBS_A_BATCH }, () => maker.make()))
}

function eventsOf(receipts: readonly SignedReceipt[]): (AuditEvent & Kept)[] {
  return receipts.flatMap((receipt) => [
    { type: 'job.admitted' as const, untilMs: DUE_MS, detail: admissionOf(receipt) },
    { type: 'job.placed' as const, untilMs: DUE_MS, detail: placementOf(receipt) },
  ])
}

interface Filling {
  readonly log: Log
  readonly size: number
  readonly events: readonly (AuditEvent & Kept)[]
}

function fill(storage: Storage, { log, size, events }: Filling): void {
  for (let at = 0; at < size; at += events.length) {
    storage.transactionSync(() => log.append(events))
    storage.transactionSync(() => insertPlain(storage, events))
  }
}

function insertPlain(storage: Storage, events: readonly (AuditEvent & Kept)[]): void {
  for (const { type, detail, untilMs } of events)
    storage.sql.exec(
      'INSERT INTO plain (at_ms, type, detail, job, erase_at_ms) VALUES (?, ?, ?, ?, ?)',
      Date.now(),
      type,
      JSON.stringify(detail),
      'jobId' in detail ? detail.jobId : null,
      untilMs,
    )
}

async function measureAppend(
  storage: Storage,
  { log, size, events, rounds }: Filling & { readonly rounds: number },
): Promise<Section> {
  const one = events.slice(0, 1)
  const timed = (
    name: string,
    write: (events: readonly (AuditEvent & Kept)[]) => void,
  ): Contender => ({
    name,
    async run() {
      const batchMs = time(() => storage.transactionSync(() => write(events)))
      const entryMs = time(() => storage.transactionSync(() => write(one)))
      return { batchMs: [batchMs], entryMs: [entryMs] }
    },
  })
  const [of, to] = ['audit log', 'plain SQLite']
  return measureSection({
    name: `append at ${size.toLocaleString('en')} entries`,
    contenders: [
      timed(of, (list) => void log.append(list)),
      timed(to, (list) => insertPlain(storage, list)),
    ],
    comparisons: [
      { of, to, metric: 'batchMs' },
      { of, to, metric: 'entryMs' },
    ],
    rounds: rounds * 4,
  })
}

async function measureProofs({
  log,
  size,
  rounds,
}: Omit<Filling, 'events'> & { readonly rounds: number }): Promise<Section> {
  const leaf = randomBytes(32)
  const contenders: Contender[] = [
    {
      name: 'kept hashes',
      async run() {
        const index = Math.floor(Math.random() * size)
        let proofs: readonly (readonly unknown[])[] = []
        const inclusionMs = time(() => {
          proofs = [inclusionProof({ index, size }, log.reader())]
        })
        const consistencyMs = time(() => {
          proofs = [...proofs, consistencyProof({ from: index, to: size }, log.reader())]
        })
        const rootMs = time(() => log.root(size))
        const [inclusion = 0, consistency = 0] = proofs.map((proof) => 32 * proof.length)
        return {
          inclusionMs: [inclusionMs],
          consistencyMs: [consistencyMs],
          rootMs: [rootMs],
          inclusionBytes: [inclusion],
          consistencyBytes: [consistency],
        }
      },
    },
    {
      name: 'hashed anew',
      run: async () => ({ rootMs: [time(() => hashAnew(leaf, size))] }),
    },
  ]
  const comparison = { of: 'kept hashes', to: 'hashed anew' }
  return measureSection({
    name: `proofs at ${size.toLocaleString('en')} entries`,
    contenders,
    comparisons: [{ ...comparison, metric: 'rootMs' }],
    rounds,
  })
}

/** Hashes as many pairs as the tree has. */
function hashAnew(leaf: Uint8Array, size: number): void {
  for (let i = 1; i < size; i += 1)
    createHash('sha256').update('\x01').update(leaf).update(leaf).digest()
}

async function measureVerify(rounds: number, jobCount: number): Promise<Section> {
  const { bundle, trust } = await makeBundle({ jobs: jobCount })
  const rate = (startedMs: number) => jobCount / ((performance.now() - startedMs) / 1000)
  const contenders: Contender[] = [
    {
      name: 'bundle',
      async run() {
        const startedMs = performance.now()
        const { ok } = await verifyBundle(bundle, trust)
        invariant(ok, 'the bundle is whole')
        return { jobsPerSecond: [rate(startedMs)] }
      },
    },
    {
      name: 'receipts alone',
      async run() {
        const startedMs = performance.now()
        for (const { receipt, settlement } of bundle.jobs) {
          const document = {
            receipt,
            salt: null,
            status: 'settled',
            refusal: null,
            settlement,
            settlesByMs: null,
          }
          const { ok } = await verifyReceipt(document, trust)
          invariant(ok, 'the receipt is whole')
        }
        return { jobsPerSecond: [rate(startedMs)] }
      },
    },
  ]
  const comparison = { of: 'bundle', to: 'receipts alone', metric: 'jobsPerSecond' }
  return measureSection({
    name: `verification of ${jobCount} jobs`,
    contenders,
    comparisons: [comparison],
    rounds,
  })
}

function time(once: () => void): number {
  const startedMs = performance.now()
  once()
  return performance.now() - startedMs
}
