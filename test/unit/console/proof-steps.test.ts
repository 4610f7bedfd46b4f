import { describe, expect, it } from 'vitest'
import { LINE_NAMES, lineAbout, type BundleLine } from '#shared/verify/line.ts'
import { NOT_NARROWED, type AuditBundle } from '#shared/audit/bundle.ts'
import {
  overall,
  proveEntries,
  proveJob,
  STEP_OF,
  STEPS,
} from '../../../console/compliance/jobs/prove-job.ts'
import { createReceiptMaker } from '#test/support/hub/receipts.ts'

const DOMAIN = { chainId: 31_337, verifyingContract: `0x${'5e'.repeat(20)}` } as const

/** Two attempts of one job, the second settled. */
async function twoAttempts(): Promise<AuditBundle> {
  const maker = await createReceiptMaker(DOMAIN)
  const first = await maker.make()
  const { jobId, tenant } = first.receipt.ticket
  const second = await maker.make({ jobId, attempt: 2 })
  const [receiptRoot, transactionHash] = [second.id, second.id]
  const place = { index: 0, receiptCount: 1, proof: [] }
  const settlement = { batchId: 4, receiptRoot, ...place, transactionHash, blockNumber: 9 }
  return {
    version: 3,
    tenant,
    domain: DOMAIN,
    checkpoint: '',
    range: { from: 0, to: 0 },
    selection: NOT_NARROWED,
    settlesWithinMs: null,
    policies: [],
    edges: [],
    entries: [],
    erasures: [],
    jobs: [
      { receipt: first, evidence: null, settlement: null },
      { receipt: second, evidence: null, settlement },
    ],
    batches: [],
  }
}

describe('the steps of a proof', () => {
  it('have exactly one place for every line of the verifier', () => {
    expect(Object.keys(STEP_OF).toSorted()).toEqual([...LINE_NAMES].toSorted())
    for (const name of LINE_NAMES) {
      const failed = lineAbout('log', name, false, 'why')
      const steps = proveEntries({ lines: [failed] })
      expect(steps.map(({ id, result }) => [id, result])).toEqual([[STEP_OF[name][0], 'failed']])
      expect(steps[0]?.findings[0]?.text).toContain('why')
    }
    expect(new Set(Object.values(STEP_OF).map(([step]) => step))).toEqual(
      new Set(Object.keys(STEPS)),
    )
  })

  it('have the result of their worst line, and are open without lines', async () => {
    const bundle = await twoAttempts()
    const [job] = bundle.jobs
    if (job === undefined) throw new Error('there is a job')
    const of = (...lines: BundleLine[]) =>
      Object.fromEntries(proveJob(bundle, job, { lines }).map(({ id, result }) => [id, result]))
    const passed = lineAbout('log', 'log.checkpoint', true, '')
    expect(of(passed)).toMatchObject({ checkpoint: 'passed', batch: 'open', place: 'open' })
    expect(of(passed, lineAbout('log', 'log.fork', false, ''))['checkpoint']).toBe('failed')
    const worst = (...results: BundleLine['result'][]) =>
      overall(results.map((result) => ({ result })))
    expect(worst('passed', 'simulated')).toBe('simulated')
    expect(worst('simulated', 'open', 'passed')).toBe('open')
    expect(worst('passed', 'open', 'failed')).toBe('failed')
    expect(worst()).toBe('open')
  })

  it('of an attempt leave out only the lines of other attempts', async () => {
    const bundle = await twoAttempts()
    const [first, second] = bundle.jobs
    if (first === undefined || second === undefined) throw new Error('there are two attempts')
    const { jobId } = first.receipt.receipt.ticket
    const lines: BundleLine[] = [
      { ...lineAbout(jobId, 'amount', false, 'of the first'), receipt: first.receipt.id },
      { ...lineAbout(jobId, 'amount', true, 'of the second'), receipt: second.receipt.id },
      lineAbout('batch 4', 'batch.log', true, 'the second’s batch'),
      lineAbout('batch 5', 'batch.jobs', false, 'nobody’s batch'),
      lineAbout(jobId, 'job.receipt', false, 'a third attempt’s receipt'),
    ]
    const texts = (job: typeof first) =>
      proveJob(bundle, job, { lines }).flatMap(({ findings }) => findings.map(({ text }) => text))
    const said = (job: typeof first, text: string) => texts(job).some((t) => t.endsWith(text))
    expect(said(first, 'of the first')).toBe(true)
    expect(said(first, 'of the second')).toBe(false)
    expect(said(first, 'the second’s batch')).toBe(false)
    expect(said(second, 'the second’s batch')).toBe(true)
    for (const job of [first, second]) {
      expect(said(job, 'nobody’s batch')).toBe(true)
      expect(said(job, 'a third attempt’s receipt')).toBe(true)
    }
  })
})
