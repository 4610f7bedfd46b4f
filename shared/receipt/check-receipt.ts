/** The named rules that a signed receipt must satisfy by itself. The ledger refuses by them; the verifier prints them. */
import type { Bytes32 } from '#shared/base/ids.ts'
import { isSameDomain, type Domain } from '#shared/proof/domain.ts'
import { policyHash } from '#shared/law/compile-policy.ts'
import { decide } from '#shared/law/decide.ts'
import { LIMITS } from '#shared/base/limits.ts'
import {
  RECEIPT_LAYOUT,
  receiptId,
  type Place,
  type Receipt,
  type SignedReceipt,
} from './receipt.ts'
import { countryCode, isSubset } from '#shared/law/region.ts'
import { verifyLeaf, type TreeSignature } from '#shared/proof/tree-signature.ts'

/** Rules about signatures. A receipt that fails one of these proves nothing and is not kept. */
export const AUTHENTICITY_RULES = [
  'receipt.id',
  'receipt.domain',
  'node.signature',
  'hub.signature',
] as const

/** Rules that a receipt must satisfy to be paid. */
export const CONTENT_RULES = [
  'policy.hash',
  'ticket.allowed',
  'ticket.units',
  'ticket.times',
  'amount',
  'place',
] as const

export type ReceiptRule = (typeof AUTHENTICITY_RULES)[number] | (typeof CONTENT_RULES)[number]

export interface Check {
  readonly rule: ReceiptRule
  readonly ok: boolean
  /** The comparison in words; for a failed `place` it starts with the compute rule that refused. */
  readonly detail: string
}

/** Checks every rule, in the order of the two lists above. @param nowMs the checker's clock */
export async function checkReceipt(
  signed: SignedReceipt,
  { domain, nowMs }: { readonly domain: Domain; readonly nowMs: number },
): Promise<Check[]> {
  return [...(await checkAuthenticity(signed, domain)), ...checkContent(signed, nowMs)]
}

/** Finds the fault of the node's times, which must lie between the ticket's times and before now. */
export function timesFault(
  { ticket, startedAtMs, finishedAtMs }: Receipt,
  nowMs: number,
): string | undefined {
  if (startedAtMs < ticket.issuedAtMs) return 'the receipt begins before its ticket was issued'
  if (finishedAtMs < startedAtMs) return 'the receipt ends before it begins'
  if (finishedAtMs > ticket.expiresAtMs) return 'the receipt ends after its ticket expired'
  if (finishedAtMs > nowMs) return 'the receipt ends in the future'
  return undefined
}

/** Checks id, domain and both signatures. */
export async function checkAuthenticity(signed: SignedReceipt, domain: Domain): Promise<Check[]> {
  const { receipt, hubKey, nodeSignature, hubSignature } = signed
  const id = receiptId(RECEIPT_LAYOUT.encode(domain, receipt))
  const [byNode, byHub] = await Promise.all([
    verifyLeaf(id, nodeSignature, { by: 'node', domain, key: receipt.receiptKey }),
    verifyLeaf(id, hubSignature, { by: 'hub', domain, key: hubKey }),
  ])
  const { chainId, verifyingContract } = signed.domain
  const ofNode = `receipt signed by receipt key ${receipt.receiptKey.x}${among(nodeSignature)}`
  const ofHub = `ticket and answer signed by hub key ${hubKey.x}${among(hubSignature)}`
  return [
    check('receipt.id', id === signed.id, `id ${signed.id}, hash ${id}`),
    check(
      'receipt.domain',
      isSameDomain(signed.domain, domain),
      `chain ${chainId}, contract ${verifyingContract}`,
    ),
    check('node.signature', byNode, ofNode),
    check('hub.signature', byHub, ofHub),
  ]
}

function among({ size }: TreeSignature): string {
  if (size === 1) return ''
  return size === 2 ? ', with 1 other' : `, with ${size - 1} others`
}

/** @param nowMs the checker's clock. @param hash the policy's hash, where the caller has computed it */
export function checkContent(
  { policy, receipt }: Pick<SignedReceipt, 'policy' | 'receipt'>,
  nowMs: number,
  hash: Bytes32 = policyHash(policy),
): Check[] {
  const { ticket, units, amountMicroUsd } = receipt
  const { place, priceMicroUsd } = ticket
  const isHash = hash === policy.hash && hash === ticket.policyHash
  const isNarrower = isSubset(ticket.allowed, policy.compute)
  const isOwed = BigInt(amountMicroUsd) === BigInt(units) * BigInt(priceMicroUsd)
  // The hub vouches for membership of a consortium by signing a ticket under this policy.
  const networks = policy.network === null ? [] : [policy.network]
  const verdict = decide(policy, ticket.allowed, { ...place, networks, quarantined: false })
  const named = `policy ${policy.id} version ${policy.version} of ${policy.tenant}, hash ${hash}`
  const billed = `${units} units at ${priceMicroUsd} micro-dollars, ${amountMicroUsd} billed`
  return [
    check('policy.hash', isHash && policy.tenant === ticket.tenant, named),
    check('ticket.allowed', isNarrower, 'the ticket allows only what the policy allows'),
    check('ticket.units', units <= ticket.units, `${units} units of at most ${ticket.units}`),
    checkTimes(receipt, nowMs + LIMITS.clockSkewMs),
    check('amount', isOwed, billed),
    check('place', verdict === 'allow', placeDetail(verdict, place)),
  ]
}

function checkTimes(receipt: Receipt, untilMs: number): Check {
  const { ticket, startedAtMs, finishedAtMs } = receipt
  const fault = timesFault(receipt, untilMs)
  const said = `ran ${startedAtMs} to ${finishedAtMs}, ticket from ${ticket.issuedAtMs} to ${ticket.expiresAtMs}`
  return check('ticket.times', fault === undefined, fault ? `${fault}: ${said}` : said)
}

function placeDetail(verdict: string, { country, evidence, trust }: Place): string {
  const facts = `${countryCode(country)} by ${evidence} evidence, a ${trust} node`
  return verdict === 'allow' ? `${facts}: inside the policy` : `${verdict}: ${facts}`
}

function check(rule: ReceiptRule, ok: boolean, detail: string): Check {
  return { rule, ok, detail }
}
