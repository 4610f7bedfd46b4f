/** The verifier: checks a receipt document against nothing but the chain, and says of each check what it compared. */
import { checkReceipt } from '../check-receipt.ts'
import { verifyMerkleProof } from '../merkle.ts'
import { verifyPresence } from '../presence.ts'
import { ReceiptDocument, type SignedReceipt } from '../receipt.ts'
import { countryCode } from '../region.ts'
import { isUnread } from './chain-view.ts'
import { isProven, line, type VerificationLine } from './line.ts'
import type { ReceiptTrust } from './trust.ts'

export interface Verification {
  readonly ok: boolean
  readonly lines: readonly VerificationLine[]
}

/** Checks a document as `GET /v1/receipts/{id}` answers it; never throws for what is wrong with the document. */
export async function verifyReceipt(document: unknown, trust: ReceiptTrust): Promise<Verification> {
  const parsed = ReceiptDocument.safeParse(document)
  if (!parsed.success) {
    const fault = parsed.error.issues[0]
    const detail = `${fault?.path.join('.') ?? ''}: ${fault?.message ?? 'not a receipt document'}`
    return { ok: false, lines: [line('schema', false, detail)] }
  }
  const { receipt } = parsed.data
  const checks = await checkReceipt(receipt, trust.chain.domain)
  const lines = [
    line('schema', true, 'a receipt document, version 1'),
    ...checks.map(({ rule, ok, detail }) => line(rule, ok, detail)),
    await checkHubKey(receipt, trust),
    await checkPresence(receipt),
    checkPlace(receipt, trust),
    ...(await checkSettlement(parsed.data, trust)),
  ]
  return { ok: isProven(lines), lines }
}

async function checkHubKey(
  { hubKey }: SignedReceipt,
  { chain }: ReceiptTrust,
): Promise<VerificationLine> {
  const name = 'hub.registered'
  if (!isUnread(chain))
    return line(name, await chain.isHubKey(hubKey), `hub key ${hubKey.x} in the contract`)
  const isLive = chain.liveHubKeys.some(({ x, y }) => x === hubKey.x && y === hubKey.y)
  const detail = `hub key ${hubKey.x} is ${isLive ? 'a' : 'no'} live hub’s; ${chain.unread}`
  return line(name, isLive ? 'open' : 'failed', detail)
}

async function checkPresence({ receipt, presence }: SignedReceipt): Promise<VerificationLine> {
  const name = 'presence.binding'
  try {
    if (!isCanonical(presence.record) || !isCanonical(presence.signature))
      return line(name, false, 'the presence record is not in canonical base64')
    const record = await verifyPresence(presence)
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
  { chain, incomplete = 'failed' }: ReceiptTrust,
): Promise<VerificationLine[]> {
  if (status !== 'settled' || settlement === null)
    return [
      refusal === null
        ? line('settlement.status', incomplete, `still ${status}`)
        : line('settlement.status', false, `refused: ${refusal}`),
    ]
  const settled = line('settlement.status', refusal === null, 'settled')
  const { batchId, receiptRoot, proof, transactionHash, blockNumber } = settlement
  const under = `receipt ${receipt.id} under that root, ${proof.length} siblings`
  if (isUnread(chain)) {
    const isUnder = verifyMerkleProof(receiptRoot, receipt.id, proof)
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
    posted.blockNumber === blockNumber
  return [
    settled,
    line('settlement.root', root === receiptRoot, `batch ${batchId} has root ${root} on the chain`),
    line('settlement.inclusion', verifyMerkleProof(root, receipt.id, proof), under),
    line('settlement.transaction', isPosted, `${transactionHash} in block ${blockNumber}`),
  ]
}

/** Base64 has spare bits at its end that change nothing; an edit there must not pass unseen. */
function isCanonical(base64: string): boolean {
  return btoa(atob(base64)) === base64
}
