/** A job's proof as seven steps: what the verifier says line by line (`shared/verify/`), put where a reader looks for it. */
import type { AuditBundle, BundledJob } from '#shared/audit/bundle.ts'
import { batchName } from '#shared/verify/batches.ts'
import type { BundleVerification } from '#shared/verify/whole.ts'
import { worstOf, type BundleLine, type LineName, type LineResult } from '#shared/verify/line.ts'
import type { Finding } from './finding.ts'

export interface Step {
  readonly id: StepId
  readonly title: string
  /** What this step shows, in one sentence. */
  readonly shows: string
  readonly result: LineResult
  readonly findings: readonly Finding[]
}

export const STEPS = {
  request: ['Request', 'The job was admitted, and the log says so.'],
  policy: ['Policy', 'The policy that it ran under is the one that the ticket names.'],
  place: [
    'Node and evidence',
    'The node’s place, what it was concluded from, and that the policy allows it.',
  ],
  signatures: [
    'Ticket and receipt',
    'The hub signed the ticket, the node the receipt, the hub the receipt again.',
  ],
  inclusion: [
    'Inclusion in the log',
    'Each entry is a leaf of the tenant’s Merkle log (RFC 9162).',
  ],
  checkpoint: ['Checkpoint', 'The log as it stood is signed with the deployment’s log key.'],
  batch: [
    'Batch on the chain',
    'Receipt and log are under the roots of a batch that is on the chain.',
  ],
} as const satisfies Readonly<Record<string, readonly [title: string, shows: string]>>
export type StepId = keyof typeof STEPS

/** The step that each of the verifier's lines belongs to, and what it is called there. */
export const STEP_OF: Readonly<Record<LineName, readonly [step: StepId, label: string]>> = {
  'log.admitted': ['request', 'Admission in the log'],
  'policy.hash': ['policy', 'Policy hash'],
  'policy.text': ['policy', 'Text of the policy'],
  'ticket.allowed': ['policy', 'Allowed countries'],
  place: ['place', 'Place'],
  'place.evidence': ['place', 'Who saw it'],
  'presence.binding': ['place', 'Receipt key of the node'],
  'evidence.record': ['place', 'Record of evidence'],
  'evidence.node': ['place', 'Node of the evidence'],
  'evidence.conclusion': ['place', 'Conclusion'],
  'evidence.fresh': ['place', 'Age of the evidence'],
  'evidence.echo': ['place', 'Round trip'],
  'evidence.attestation': ['place', 'Attestation'],
  'log.placed': ['place', 'Placement in the log'],
  'place.within': ['place', 'Countries asked for'],
  schema: ['signatures', 'Form'],
  'bundle.domain': ['signatures', 'Bundle'],
  'bundle.jobs': ['signatures', 'Jobs of the bundle'],
  'job.tenant': ['signatures', 'Tenant'],
  'job.receipt': ['signatures', 'Placement without receipt'],
  'receipt.id': ['signatures', 'Receipt id'],
  'receipt.domain': ['signatures', 'Chain and contract'],
  'ticket.signature': ['signatures', 'Ticket'],
  'node.signature': ['signatures', 'Receipt, node'],
  'hub.signature': ['signatures', 'Receipt, hub'],
  'hub.registered': ['signatures', 'Hub key'],
  'ticket.units': ['signatures', 'Units'],
  'ticket.times': ['signatures', 'Times'],
  amount: ['signatures', 'Amount'],
  'log.entries': ['inclusion', 'Entries'],
  'log.edges': ['inclusion', 'Edge of the range'],
  'entry.missing': ['inclusion', 'Missing entries'],
  'bundle.range': ['inclusion', 'Range'],
  'entry.order': ['inclusion', 'Order of the entries'],
  'entry.inclusion': ['inclusion', 'Leaf'],
  'entry.detail': ['inclusion', 'Detail of an entry'],
  'log.checkpoint': ['checkpoint', 'Signed head'],
  'log.fork': ['checkpoint', 'Fork'],
  'settlement.status': ['batch', 'Settlement'],
  'settlement.root': ['batch', 'Receipt root'],
  'settlement.inclusion': ['batch', 'Receipt in the batch'],
  'settlement.transaction': ['batch', 'Transaction'],
  'batch.order': ['batch', 'Order of the batches'],
  'batch.log_root': ['batch', 'Log root'],
  'batch.log': ['batch', 'Log in the batch'],
  'batch.covers': ['batch', 'Entry in the batch'],
  'batch.jobs': ['batch', 'Jobs of the batch'],
  'log.consistency': ['batch', 'Nothing was rewritten'],
}

/** All seven; a step that nothing was said of is not proven. */
export function proveJob(
  bundle: AuditBundle,
  job: BundledJob,
  { lines }: Pick<BundleVerification, 'lines'>,
): Step[] {
  const isElsewhere = createIsElsewhere(bundle, job)
  return toSteps(lines.filter((line) => !isElsewhere(line)))
}

/** What is said of the log alone: of a job that was refused there is nothing else. */
export function proveEntries({ lines }: Pick<BundleVerification, 'lines'>): Step[] {
  return toSteps(lines).filter(({ findings }) => findings.length > 0)
}

/** Of all steps: the one that is furthest from proven. */
export function overall(steps: readonly Pick<Step, 'result'>[]): LineResult {
  return worstOf(steps.map(({ result }) => result))
}

/** Whether a line is shown with another job of the bundle. What belongs to no job is shown with each. */
function createIsElsewhere(
  { jobs }: AuditBundle,
  { receipt, settlement }: BundledJob,
): (line: BundleLine) => boolean {
  const batches = new Set(
    jobs.flatMap((job) => (job.settlement === null ? [] : batchName(job.settlement.batchId))),
  )
  if (settlement !== null) batches.delete(batchName(settlement.batchId))
  return (line) =>
    line.receipt === undefined ? batches.has(line.about) : line.receipt !== receipt.id
}

function toSteps(lines: readonly BundleLine[]): Step[] {
  return (Object.keys(STEPS) as StepId[]).map((id) => {
    const [title, shows] = STEPS[id]
    const findings = lines.flatMap(({ name, about, result, detail }) => {
      const [step, label] = STEP_OF[name]
      const of = name.startsWith('entry.') || name === 'job.receipt' ? `, ${about}` : ''
      return step === id ? [{ result, text: `${label}${of}: ${detail}` }] : []
    })
    return { id, title, shows, findings, result: overall(findings) }
  })
}
