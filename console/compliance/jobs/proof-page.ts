/** Draws the proof of a job, from the server or from a file, step by step. */
import { AuditBundle, type BundledJob } from '#shared/audit/bundle.ts'
import { toAppError } from '#shared/base/errors.ts'
import { worstOf, type LineResult } from '#shared/verify/line.ts'
import { verifyBundle, type BundleVerification } from '#shared/verify/whole.ts'
import { readTrust } from './trust.ts'
import { facts, folded, paragraph, quiet } from '../page/blocks.ts'
import { h, type Child } from '../page/dom.ts'
import { recordFacts } from '../nodes/evidence.ts'
import { hash, outcome, sign, tag } from '../page/parts.ts'
import { describeEntry, describePlace, TYPE_LABELS } from '../log/audit-words.ts'
import { findingList, LOOKS } from './finding-list.ts'
import { overall, proveEntries, proveJob, type Step } from './prove-job.ts'
import type { ViewContext } from '../page/view.ts'
import { count } from '../page/words.ts'

/** Draws what a bundle proves about its jobs. @param document a bundle, unparsed */
export async function drawProof(context: ViewContext, document: unknown): Promise<Child> {
  const parsed = AuditBundle.safeParse(document)
  if (!parsed.success) {
    const [fault] = parsed.error.issues
    const text = `${fault?.path.join('.') ?? ''}: ${fault?.message ?? 'not a bundle'}`
    return verdict('failed', 'This is not a bundle.', text)
  }
  const bundle = parsed.data
  const trust = await readTrust(context)
  let verified: BundleVerification
  try {
    verified = await verifyBundle(bundle, trust)
  } catch (error) {
    // The chain failed: problems of the bundle itself become lines.
    return verdict('failed', 'The bundle could not be checked.', toAppError(error).detail)
  }
  if (bundle.jobs.length === 0) return withoutReceipt(bundle, verified)
  const attempts = bundle.jobs.map((job) => ({ job, steps: proveJob(bundle, job, verified) }))
  const steps = attempts.flatMap((attempt) => attempt.steps)
  return [
    headline(verified, steps),
    attempts.map((attempt) => [
      attempts.length > 1 && h('h2', {}, nameAttempt(attempt.job)),
      jobFacts(attempt.job),
      h('ol', { class: 'steps', 'data-testid': 'steps' }, attempt.steps.map(drawStep)),
    ]),
  ]
}

/** Draws a job that was refused or whose receipt is erased: its log entries and their proof. */
function withoutReceipt(bundle: AuditBundle, verified: BundleVerification): Child {
  const steps = proveEntries(verified)
  const said = bundle.entries.map((entry) => `${TYPE_LABELS[entry.type]}: ${describeEntry(entry)}`)
  const isRefused = bundle.entries.some(({ type }) => type === 'job.refused')
  const what = isRefused ? 'The job was refused.' : 'The bundle has no receipt for this job.'
  return [
    verdict(overall(steps), `${what} ${verified.verdict.title}`, said.join(' ')),
    h('ol', { class: 'steps', 'data-testid': 'steps' }, steps.map(drawStep)),
  ]
}

/** Shows the sentence that `npm run verify` prints, and the steps that failed. */
function headline(
  { verdict: { title, notes }, lines }: BundleVerification,
  steps: readonly Step[],
): HTMLElement {
  const failures = steps.filter((step) => step.result === 'failed').map(({ title: name }) => name)
  const failed = failures.length === 0 ? [] : [`Failed: ${[...new Set(failures)].join(', ')}.`]
  const said = [...failed, ...notes].join(' ')
  return verdict(worstOf(lines.map(({ result }) => result)), title, said)
}

function nameAttempt({ receipt }: BundledJob): string {
  const { jobId, attempt } = receipt.receipt.ticket
  return attempt > 1 ? `${jobId}, attempt ${attempt}` : jobId
}

function verdict(result: LineResult, title: string, detail: string): HTMLElement {
  const { tone, sign } = LOOKS[result]
  const panel = outcome({ tone, sign, title }, paragraph(detail))
  panel.setAttribute('data-testid', 'verdict')
  panel.setAttribute('data-result', result)
  return panel
}

function jobFacts({ receipt, evidence }: BundledJob): HTMLElement {
  const { policy } = receipt
  const { ticket, provider, units } = receipt.receipt
  return h(
    'section',
    { class: 'card', 'aria-label': 'The job' },
    facts(
      ['Ran in', describePlace(ticket.place)],
      [
        'Policy',
        [h('a', { href: `#/policies/${policy.id}` }, policy.id), ` version ${policy.version}`],
      ],
      ['Node', hash(ticket.nodeId)],
      ['Receipt', hash(receipt.id)],
      ['Work', `${count(units, 'unit')} on ${provider}`],
    ),
    evidence !== null && folded('Evidence of the node’s place at that time', recordFacts(evidence)),
  )
}

function drawStep({ id, title, shows, result, findings }: Step): HTMLElement {
  const firstFault = findings.find((finding) => finding.result === 'failed')
  const { sign: kind, tone, words } = LOOKS[result]
  return h(
    'li',
    { class: `step step-${kind}`, 'data-testid': `step-${id}`, 'data-result': result },
    sign(kind),
    h(
      'div',
      {},
      h('h2', {}, title, ' ', tag(words, tone)),
      quiet(shows),
      firstFault !== undefined && h('p', { class: 'reason' }, firstFault.text),
      folded(`Checks (${findings.length})`, findingList(findings)),
    ),
  )
}
