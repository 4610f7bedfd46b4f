/** Groups the verifier's lines (`shared/verify/`) about a job into seven steps. */
import type { AuditBundle, BundledJob } from '#shared/audit/bundle.ts'
import { batchName } from '#shared/verify/batches.ts'
import type { BundleVerification } from '#shared/verify/whole.ts'
import { worstOf, type BundleLine, type LineName, type LineResult } from '#shared/verify/line.ts'
import type { Finding } from './finding.ts'

export interface Step {
  readonly id: StepId
  readonly title: string
  /** Says in one sentence what this step shows. */
  readonly shows: string
  readonly result: LineResult
  readonly findings: readonly Finding[]
}

export const STEPS = {
  request: ['Request', 'The log records that the job was admitted.'],
  policy: ['Policy', 'The job ran under the policy that the ticket names.'],
  place: [
    'Node and evidence',
    'The node’s place, the evidence for it, and whether the policy allows it.',
  ],
  signatures: [
    'Ticket and receipt',
    'The node and the hub signed the receipt, which contains the ticket.',
  ],
  inclusion: [
    'Inclusion in the log',
    'Each entry is a leaf of the tenant’s Merkle log (RFC 9162).',
  ],
  checkpoint: ['Checkpoint', 'The state of the log is signed with the deployment’s log key.'],
  batch: ['Batch on the chain', 'The receipt and the log are part of a batch on the chain.'],
} as const satisfies Readonly<Record<string, readonly [title: string, shows: string]>>
export type StepId = keyof typeof STEPS

/** Maps each of the verifier's lines to its step and its label there. */
export const STEP_OF: Readonly<Record<LineName, readonly [step: StepId, label: string]>> = {
  'log.admitted': ['request', 'Admission in the log'],
  'policy.hash': ['policy', 'Policy hash'],
  'policy.text': ['policy', 'Policy text'],
  'ticket.allowed': ['policy', 'Allowed countries'],
  place: ['place', 'Place'],
  'place.evidence': ['place', 'Source of the place'],
  'presence.binding': ['place', 'Receipt key of the node'],
  'evidence.record': ['place', 'Evidence record'],
  'evidence.node': ['place', 'Node in the evidence'],
  'evidence.conclusion': ['place', 'Conclusion'],
  'evidence.fresh': ['place', 'Age of the evidence'],
  'evidence.echo': ['place', 'Round trip'],
  'evidence.attestation': ['place', 'Attestation'],
  'log.placed': ['place', 'Placement in the log'],
  'place.within': ['place', 'Requested countries'],
  schema: ['signatures', 'Form'],
  'bundle.domain': ['signatures', 'Bundle'],
  'bundle.jobs': ['signatures', 'Jobs of the bundle'],
  'job.tenant': ['signatures', 'Tenant'],
  'job.receipt': ['signatures', 'Placement without receipt'],
  'receipt.id': ['signatures', 'Receipt id'],
  'receipt.domain': ['signatures', 'Chain and contract'],
  'node.signature': ['signatures', 'Node’s signature'],
  'hub.signature': ['signatures', 'Hub’s signature'],
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
  'log.consistency': ['batch', 'Append-only'],
}

/** Gives all seven steps. A step without lines is not proven. */
export function proveJob(
  bundle: AuditBundle,
  job: BundledJob,
  { lines }: Pick<BundleVerification, 'lines'>,
): Step[] {
  const isElsewhere = createIsElsewhere(bundle, job)
  return toSteps(lines.filter((line) => !isElsewhere(line)))
}

/** Gives the steps about log entries, which are all that a refused job has. */
export function proveEntries({ lines }: Pick<BundleVerification, 'lines'>): Step[] {
  return toSteps(lines).filter(({ findings }) => findings.length > 0)
}

/** Gives the worst result of all steps. */
export function overall(steps: readonly Pick<Step, 'result'>[]): LineResult {
  return worstOf(steps.map(({ result }) => result))
}

/** Tells whether a line belongs to another job of the bundle. Lines that belong to no job are shown with each. */
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
