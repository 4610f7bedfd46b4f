/** Checks a receipt document against the chain alone, and says what each check compared. */
import type { z } from 'zod'
import { checkReceipt } from '#shared/receipt/check-receipt.ts'
import { isNoDomain, NO_DOMAIN } from '#shared/proof/domain.ts'
import { memoize } from '#shared/base/memoize.ts'
import { rootOf } from '#shared/proof/tree.ts'
import { verifyPresence } from '#shared/node/presence.ts'
import { ReceiptDocument, type SignedReceipt } from '#shared/receipt/receipt.ts'
import { countryCode } from '#shared/law/region.ts'
import { accessFor, isNoChain, isUnread, type ChainAccess } from './chain-view.ts'
import { line, type VerificationLine } from './line.ts'
import type { ReceiptTrust } from './trust.ts'
import { conclude, newTally, tallyLine, type Tally } from './verdict.ts'

/** Checks a document as `GET /v1/receipts/{id}` answers it; never throws for a faulty document. */
export async function verifyReceipt(document: unknown, trust: ReceiptTrust) {
  const parsed = ReceiptDocument.safeParse(document)
  const lines = parsed.success
    ? [
        line('schema', true, 'a receipt document, version 2'),
        ...(await checkDocument(parsed.data, trust)),
      ]
    : [line('schema', false, describeFault(parsed.error))]
  const tally = newTally('one receipt')
  for (const each of lines) tallyLine(tally, each)
  if (parsed.success) addPending(tally, parsed.data, lines)
  const verdict = conclude(tally, { nowMs: trust.nowMs ?? Date.now() })
  return {
    /** Whether everything was checked and passed. */
    ok: verdict.result === 'holds',
    verdict,
    lines,
  }
}

function addPending(
  tally: Tally,
  { settlesByMs }: ReceiptDocument,
  lines: readonly VerificationLine[],
): void {
  const status = lines.find(({ name }) => name === 'settlement.status')?.result
  tally.isSettled = status !== 'absent'
  if (status !== 'pending') return
  tally.pending = 1
  tally.settlesByMs = settlesByMs
}

/** Path and reason of the first schema fault. */
export function describeFault({ issues: [fault] }: z.ZodError): string {
  return `${fault?.path.join('.') ?? ''}: ${fault?.message ?? 'does not fit the schema'}`
}

/** @param isLogged whether a trusted log names the receipt, and so vouches for its signers */
export async function checkDocument(
  document: ReceiptDocument,
  trust: ReceiptTrust,
  isLogged = false,
): Promise<VerificationLine[]> {
  const { receipt } = document
  const own = isNoDomain(receipt.domain) ? null : receipt.domain
  const chain = accessFor(trust.chain, own)
  const domain = chain.domain ?? NO_DOMAIN
  const checks = await checkReceipt(receipt, { domain, nowMs: trust.nowMs ?? Date.now() })
  return [
    ...checks.map(({ rule, ok, detail }) => line(rule, ok, detail)),
    await checkHubKey(receipt, chain, isLogged),
    await checkPresence(receipt),
    checkPlace(receipt, trust),
    ...(await checkSettlement(document, chain)),
  ]
}

async function checkHubKey(
  { hubKey }: SignedReceipt,
  chain: ChainAccess,
  isLogged: boolean,
): Promise<VerificationLine> {
  const name = 'hub.registered'
  const key = `hub key ${hubKey.x}`
  if (!isNoChain(chain) && !isUnread(chain))
    return line(name, await chain.isHubKey(hubKey), `${key} in the contract`)
  const known = isUnread(chain) ? chain.liveHubKeys : chain.hubKeys
  const isKnown = known?.some(({ x, y }) => x === hubKey.x && y === hubKey.y)
  if (isUnread(chain)) {
    if (isKnown === undefined) return line(name, 'open', `${key}; ${chain.unread}`)
    const detail = `${key} is ${isKnown ? 'a' : 'no'} live hub’s; ${chain.unread}`
    return line(name, isKnown ? 'open' : 'failed', detail)
  }
  if (isKnown !== undefined) return line(name, isKnown, `${key}, as it was pinned`)
  const unregistered = `${key}: no contract registers it here`
  if (isLogged) return line(name, 'absent', `${unregistered}; the log names its receipt`)
  return line(name, 'open', `${unregistered}; pin it by --hub-key, or check the bundle of its job`)
}

async function checkPresence({ receipt, presence }: SignedReceipt): Promise<VerificationLine> {
  const name = 'presence.binding'
  try {
    if (!isCanonical(presence.record) || !isCanonical(presence.signature))
      return line(name, false, 'the presence record is not in canonical base64')
    const record = await readPresence(`${presence.record} ${presence.signature}`)
    const bound =
      record.nodeId === receipt.ticket.nodeId &&
      record.receiptKey.x === receipt.receiptKey.x &&
      record.receiptKey.y === receipt.receiptKey.y
    return line(name, bound, `node ${receipt.ticket.nodeId} signed for receipt key`)
  } catch (error) {
    return line(name, false, error instanceof Error ? error.message : String(error))
  }
}

function checkPlace(
  { receipt }: SignedReceipt,
  { allowSimulated = false, allowUnseen = false }: ReceiptTrust,
): VerificationLine {
  const { country, evidence, source } = receipt.ticket.place
  if (source === 'simulated') {
    const detail = 'place: simulated, proves nothing'
    return line('place.evidence', allowSimulated ? 'simulated' : 'failed', detail)
  }
  const detail = `${countryCode(country)} ${evidence}, seen by ${source}`
  const isAllowed = source !== 'none' || (allowUnseen && evidence === 'declared')
  return line('place.evidence', isAllowed, detail)
}

async function checkSettlement(
  { receipt, status, refusal, settlement }: ReceiptDocument,
  chain: ChainAccess,
): Promise<VerificationLine[]> {
  if (isNoChain(chain)) {
    const isAbsent = settlement === null && refusal === null
    const detail = isAbsent
      ? 'not part of this deployment'
      : 'it names a settlement, and there is no chain'
    return [line('settlement.status', isAbsent ? 'absent' : 'failed', detail)]
  }
  if (status !== 'settled' || settlement === null)
    return [
      refusal === null && status === 'pending'
        ? line('settlement.status', 'pending', 'not in a batch yet')
        : line('settlement.status', false, `${status}: ${refusal ?? 'without a batch'}`),
    ]
  const settled = line('settlement.status', refusal === null, 'settled')
  const { batchId, receiptRoot, index, receiptCount, proof, transactionHash, blockNumber } =
    settlement
  const reached = rootOf({ index, size: receiptCount, leaf: receipt.id, proof })
  const under = `receipt ${receipt.id} is number ${index} of ${receiptCount} under that root`
  if (isUnread(chain)) {
    const isUnder = reached === receiptRoot
    return [
      settled,
      line('settlement.root', 'open', `batch ${batchId}, root ${receiptRoot}; ${chain.unread}`),
      line('settlement.inclusion', isUnder ? 'open' : 'failed', `${under}; ${chain.unread}`),
      line('settlement.transaction', 'open', `${transactionHash}; ${chain.unread}`),
    ]
  }
  const root = await chain.receiptRoot(batchId)
  const posted = await chain.postedBy(transactionHash)
  const isPosted =
    posted?.batchId === batchId &&
    posted.receiptRoot === receiptRoot &&
    posted.receiptCount === receiptCount &&
    posted.blockNumber === blockNumber
  return [
    settled,
    line('settlement.root', root === receiptRoot, `batch ${batchId} has root ${root} on the chain`),
    line('settlement.inclusion', reached === root, under),
    line(
      'settlement.transaction',
      isPosted,
      `${transactionHash} in block ${blockNumber} posted ${receiptCount} receipts`,
    ),
  ]
}

/** A node sends the same record with every job for minutes. */
const readPresence = memoize((text) => {
  const [record = '', signature = ''] = text.split(' ')
  return verifyPresence({ record, signature })
}, 64)

/** Base64 has spare bits at its end; a change of them must not go unnoticed. */
function isCanonical(base64: string): boolean {
  return btoa(atob(base64)) === base64
}
