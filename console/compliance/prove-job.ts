/**
 * A job's proof, step by step, from a bundle and what this page holds true: the deployment's domain, its log key, the chain.
 * Every step is recomputed here; a step says what it compared, and why it failed. Pure but for the chain.
 */
import type { AuditBundle, BundledJob, ProvenEntry } from '#shared/audit-bundle.ts'
import { admissionOf, placementOf } from '#shared/audit-receipt.ts'
import { domainSeparator } from '#shared/eip712.ts'
import { canonicalJson } from '#shared/canonical-json.ts'
import { checkAuthenticity, checkContent, type Check } from '#shared/check-receipt.ts'
import { finding, type Finding, type Result, type Trust } from './finding.ts'
import { checkLog, checkCheckpoint } from './prove-log.ts'
import { checkBatch } from './prove-batch.ts'
import { checkPlace } from './prove-place.ts'

export interface Step {
  readonly id: string
  readonly title: string
  /** What this step shows, in one sentence. */
  readonly shows: string
  readonly result: Result
  readonly findings: readonly Finding[]
}

export async function proveJob(
  bundle: AuditBundle,
  job: BundledJob,
  trust: Trust,
): Promise<Step[]> {
  const checks = [
    ...(await checkAuthenticity(job.receipt, trust.domain)),
    ...checkContent(job.receipt),
  ]
  return [
    step('request', 'Request', 'The job was admitted, and the log says so.', [
      ...openedAs(bundle, 'job.admitted', admissionOf(job.receipt)),
    ]),
    step('policy', 'Policy', 'The policy that it ran under is the one that the ticket names.', [
      ...byRules(checks, ['policy.hash', 'ticket.allowed']),
    ]),
    step(
      'place',
      'Node and evidence',
      'The node’s place, what it was concluded from, and that the policy allows it.',
      [
        ...byRules(checks, ['place']),
        ...(await checkPlace(job)),
        ...openedAs(bundle, 'job.placed', placementOf(job.receipt)),
      ],
    ),
    step(
      'signatures',
      'Ticket and receipt',
      'The hub signed the ticket, the node the receipt, the hub the receipt again.',
      [
        finding(
          domainSeparator(bundle.domain) === domainSeparator(trust.domain),
          `The bundle is of chain ${bundle.domain.chainId}, contract ${bundle.domain.verifyingContract}`,
        ),
        ...byRules(checks, [
          'receipt.id',
          'receipt.domain',
          'ticket.signature',
          'node.signature',
          'hub.signature',
          'ticket.units',
          'ticket.times',
          'amount',
        ]),
        await checkHubKey(job, trust),
      ],
    ),
    ...(await proveEntries(bundle, trust)),
    step(
      'batch',
      'Batch on the chain',
      'Receipt and log are under the roots of a batch that is on the chain.',
      await checkBatch(bundle, job, trust),
    ),
  ]
}

/** The log's part alone: of a job that was refused there is nothing else. */
export async function proveEntries(bundle: AuditBundle, trust: Trust): Promise<Step[]> {
  return [
    step(
      'inclusion',
      'Inclusion in the log',
      'Each entry is a leaf of the tenant’s Merkle log (RFC 9162).',
      checkLog(bundle),
    ),
    step(
      'checkpoint',
      'Checkpoint',
      'The log as it stood is signed with the deployment’s log key.',
      await checkCheckpoint(bundle, trust),
    ),
  ]
}

/** Of all steps: one that failed fails the whole. */
export function overall(steps: readonly Pick<Step, 'result'>[]): Result {
  return worst(steps.map(({ result }) => result))
}

function step(id: string, title: string, shows: string, findings: readonly Finding[]): Step {
  return { id, title, shows, findings, result: worst(findings.map(({ result }) => result)) }
}

function worst(results: readonly Result[]): Result {
  const order: readonly Result[] = ['failed', 'open', 'simulated', 'passed']
  return order.find((result) => results.includes(result)) ?? 'passed'
}

const RULE_WORDS: Readonly<Record<string, string>> = {
  'policy.hash': 'Policy hash',
  'ticket.allowed': 'Allowed countries',
  place: 'Place',
  'receipt.id': 'Receipt id',
  'receipt.domain': 'Chain and contract',
  'ticket.signature': 'Ticket',
  'node.signature': 'Receipt, node',
  'hub.signature': 'Receipt, hub',
  'ticket.units': 'Units',
  'ticket.times': 'Times',
  amount: 'Amount',
}

function byRules(checks: readonly Check[], rules: readonly Check['rule'][]): Finding[] {
  return rules.flatMap((rule) =>
    checks
      .filter((check) => check.rule === rule)
      .map(({ ok, detail }) => finding(ok, `${RULE_WORDS[rule] ?? rule}: ${detail}`)),
  )
}

/** That an entry of that type, opened, says exactly what the receipt says. */
function openedAs(bundle: AuditBundle, type: ProvenEntry['type'], expected: object): Finding[] {
  const entries = bundle.entries.filter((entry) => entry.type === type)
  const wanted = canonicalJson(expected)
  const same = entries.find(
    ({ opening }) => opening !== null && canonicalJson(opening.detail) === wanted,
  )
  if (same !== undefined)
    return [finding(true, `Entry ${same.sequence} (${type}) says the same as the receipt`)]
  if (entries.some(({ opening }) => opening === null))
    return [{ result: 'open', text: `The detail of the entry ${type} is erased` }]
  return [finding(false, `No entry ${type} says what the receipt says`)]
}

async function checkHubKey({ receipt }: BundledJob, trust: Trust): Promise<Finding> {
  const { x, y } = receipt.hubKey
  if (trust.chain !== null) {
    const isKnown = await trust.chain.isHubKey(receipt.hubKey)
    return finding(isKnown, `Hub key ${x} ${isKnown ? 'is' : 'is not'} registered in the contract`)
  }
  const isLive = trust.hubKeys.some((key) => key.x === x && key.y === y)
  return isLive
    ? { result: 'open', text: `Hub key ${x} is a live hub’s; ${trust.chainFault}` }
    : finding(false, `Hub key ${x} is no live hub’s; ${trust.chainFault}`)
}
