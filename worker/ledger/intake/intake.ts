/** Takes a hub's receipts in: checks their authenticity and content, and that a job is paid once. */
import type { GroupedReceipt, ReceiptGroup } from '#shared/audit/receipt-group.ts'
import type { Bytes32 } from '#shared/base/ids.ts'
import { policyHash } from '#shared/law/compile-policy.ts'
import type { CompiledPolicy } from '#shared/law/policy.ts'
import { isSameDomain, type Domain } from '#shared/proof/domain.ts'
import type { PublicKey } from '#shared/proof/signature.ts'
import { verifyLeaf } from '#shared/proof/tree-signature.ts'
import { checkContent } from '#shared/receipt/check-receipt.ts'
import { RECEIPT_LAYOUT, receiptId, type Receipt } from '#shared/receipt/receipt.ts'
import type { DurableStorage } from '#worker/platform/storage.ts'
import { DUPLICATE_JOB, type AcceptOutcome } from '#worker/protocols/ledger.ts'
import type { NewReceipt, ReceiptStore } from './receipt-store.ts'

/** Receipts in one group: they travel to the database as one text. */
export const GROUP_RECEIPTS = 1_024

export interface IntakeDeps {
  readonly receipts: ReceiptStore
  readonly storage: Pick<DurableStorage, 'transactionSync'>
  /** Null while no chain is configured: receipts are then checked against the domain that they name. */
  readonly domain: Domain | null
  readonly nowMs: () => number
}

/** A receipt that its hub signed. */
interface Authentic {
  readonly grouped: GroupedReceipt
  readonly domain: Domain
  readonly receipt: Receipt
}

interface Forged {
  readonly grouped: GroupedReceipt
  /** The rule that it breaks. */
  readonly forged: string
}

/**
 * Takes receipts in order, or repeats their earlier outcome. All are checked first, so that they are kept in one write.
 * The node's signatures were checked by the hub, which is of this deployment and signed the receipts.
 */
export async function takeGroup(
  group: ReceiptGroup,
  later: readonly Bytes32[],
  deps: IntakeDeps,
): Promise<AcceptOutcome[]> {
  const { receipts, storage, domain } = deps
  const checked = await Promise.all(
    group.receipts.map((grouped) => authenticate(grouped, { key: group.hubKey, domain })),
  )
  return storage.transactionSync(() => {
    const authentic = checked.filter((each) => 'receipt' in each)
    const policies = findPolicies(group.policies, authentic, receipts)
    const broken = judge(authentic, policies, deps.nowMs())
    const judged = { broken, later: new Set(later), hub: group.hubKey, policies }
    const outcomes = keep(authentic, judged, receipts)
    return checked.map((each): AcceptOutcome => {
      const { id } = each.grouped
      const known = 'receipt' in each ? outcomes.get(id) : undefined
      return known ?? { id, status: 'refused', refusal: 'forged' in each ? each.forged : null }
    })
  })
}

/** A receipt that makes the checks throw is refused; it must not delay those beside it. */
async function authenticate(
  grouped: GroupedReceipt,
  { key, domain: own }: { readonly key: PublicKey; readonly domain: Domain | null },
): Promise<Authentic | Forged> {
  const forged = (rule: string): Forged => ({ grouped, forged: rule })
  try {
    const { domain, value: receipt } = RECEIPT_LAYOUT.decode(grouped.receipt)
    if (receiptId(grouped.receipt) !== grouped.id) return forged('receipt.id')
    if (own !== null && !isSameDomain(domain, own)) return forged('receipt.domain')
    const isSigned = await verifyLeaf(grouped.id, grouped.hubSignature, { by: 'hub', domain, key })
    return isSigned ? { grouped, domain, receipt } : forged('hub.signature')
  } catch {
    return forged('receipt.malformed')
  }
}

/** The policies that the receipts name, by their hash: of the group, where its hash is right, otherwise the kept ones. */
function findPolicies(
  given: readonly CompiledPolicy[],
  authentic: readonly Authentic[],
  receipts: ReceiptStore,
): Map<Bytes32, CompiledPolicy> {
  const named = new Set(authentic.map(({ receipt }) => receipt.ticket.policyHash))
  const found = new Map<Bytes32, CompiledPolicy>()
  for (const policy of given)
    if (named.has(policy.hash) && isTrueToItsHash(policy)) found.set(policy.hash, policy)
  for (const hash of named) {
    const kept = found.has(hash) ? undefined : receipts.policy(hash)
    if (kept !== undefined) found.set(hash, kept)
  }
  return found
}

function isTrueToItsHash(policy: CompiledPolicy): boolean {
  try {
    return policyHash(policy) === policy.hash
  } catch {
    return false
  }
}

/** The rule that each receipt breaks, if it breaks one; for `place`, the compute rule behind it. */
function judge(
  authentic: readonly Authentic[],
  policies: ReadonlyMap<Bytes32, CompiledPolicy>,
  nowMs: number,
): Map<Authentic, string> {
  const broken = new Map<Authentic, string>()
  for (const each of authentic) {
    const { receipt } = each
    const policy = policies.get(receipt.ticket.policyHash)
    const failed =
      policy === undefined
        ? ({ rule: 'policy.hash', detail: '' } as const)
        : checkContent({ policy, receipt }, nowMs, policy.hash).find(({ ok }) => !ok)
    const rule = failed?.rule === 'place' ? failed.detail.split(':')[0] : failed?.rule
    if (rule !== undefined) broken.set(each, rule)
  }
  return broken
}

interface Judged {
  readonly broken: ReadonlyMap<Authentic, string>
  readonly later: ReadonlySet<Bytes32>
  readonly hub: PublicKey
  readonly policies: ReadonlyMap<Bytes32, CompiledPolicy>
}

/** Keeps the receipts that are new. @returns the outcome of each id */
function keep(
  authentic: readonly Authentic[],
  { broken, later, hub, policies }: Judged,
  receipts: ReceiptStore,
): Map<Bytes32, AcceptOutcome> {
  const outcomes = new Map<Bytes32, AcceptOutcome>()
  for (const { id, state, refusal } of receipts.find(authentic.map(({ grouped }) => grouped.id)))
    outcomes.set(id, { id, status: state, refusal })
  const jobs = authentic.map(({ receipt }) => receipt.ticket.jobId)
  const paid = receipts.acceptedJobs(jobs)
  const fresh: NewReceipt[] = []
  for (const each of authentic) {
    const { id, consumer } = each.grouped
    if (outcomes.has(id)) continue
    const { jobId } = each.receipt.ticket
    // Only the first accepted receipt of a job is paid, whatever its attempt.
    const duplicate = later.has(id) || paid.has(jobId) ? DUPLICATE_JOB : null
    const refusal = broken.get(each) ?? duplicate
    if (refusal === null) paid.add(jobId)
    outcomes.set(id, { id, status: refusal === null ? 'pending' : 'refused', refusal })
    fresh.push({ id, consumer, domain: each.domain, receipt: each.receipt, refusal })
  }
  receipts.keepPolicies(policies)
  const consumers = receipts.learnConsumers(
    authentic.map(({ grouped, receipt }) => [receipt.ticket.tenant, grouped.consumer]),
  )
  receipts.insert(fresh, hub, consumers)
  return outcomes
}
