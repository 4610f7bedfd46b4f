/** The verifier: checks a receipt document against nothing but the chain, and says of each check what it compared. */
import { verifyPresence } from '#p2p/presence.ts'
import { checkReceipt } from '#shared/check-receipt.ts'
import { verifyMerkleProof } from '#shared/merkle.ts'
import { ReceiptDocument, type SignedReceipt } from '#shared/receipt.ts'
import { countryCode } from '#shared/region.ts'
import type { ChainView } from '#scripts/lib/chain-view.ts'

export interface VerificationLine {
  readonly name: string
  /** `simulated` is a place that was made up for development: it passes only where that is allowed, and proves nothing. */
  readonly result: 'passed' | 'failed' | 'simulated'
  readonly detail: string
}

export interface Verification {
  readonly ok: boolean
  readonly lines: readonly VerificationLine[]
}

export interface VerifyOptions {
  readonly chain: ChainView
  /** Whether a simulated place is accepted, as in development. @default false */
  readonly allowSimulated?: boolean
}

/** Checks a document as `GET /v1/receipts/{id}` answers it; never throws for what is wrong with the document. */
export async function verifyReceipt(
  document: unknown,
  options: VerifyOptions,
): Promise<Verification> {
  const parsed = ReceiptDocument.safeParse(document)
  if (!parsed.success) {
    const fault = parsed.error.issues[0]
    const detail = `${fault?.path.join('.') ?? ''}: ${fault?.message ?? 'not a receipt document'}`
    return { ok: false, lines: [{ name: 'schema', result: 'failed', detail }] }
  }
  const { receipt } = parsed.data
  const checks = await checkReceipt(receipt, options.chain.domain)
  const lines = [
    line('schema', true, 'a receipt document, version 1'),
    ...checks.map(({ rule, ok, detail }) => line(rule, ok, detail)),
    await checkHubKey(receipt, options.chain),
    await checkPresence(receipt),
    checkEvidence(receipt, options.allowSimulated ?? false),
    ...(await checkSettlement(parsed.data, options.chain)),
  ]
  return { ok: lines.every(({ result }) => result !== 'failed'), lines }
}

/** One line a check, as the command prints it. */
export function formatLine({ name, result, detail }: VerificationLine): string {
  const mark = { passed: '✓', failed: '✗', simulated: '!' }[result]
  return `${mark} ${name.padEnd(22)} ${detail}`
}

async function checkHubKey(receipt: SignedReceipt, chain: ChainView): Promise<VerificationLine> {
  const known = await chain.isHubKey(receipt.hubKey)
  return line('hub.registered', known, `hub key ${receipt.hubKey.x} in the contract`)
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

function checkEvidence({ receipt }: SignedReceipt, allowSimulated: boolean): VerificationLine {
  const { country, evidence, source } = receipt.ticket.place
  if (source === 'simulated') {
    const detail = 'place: simulated, proves nothing'
    return { name: 'place.evidence', result: allowSimulated ? 'simulated' : 'failed', detail }
  }
  const detail = `${countryCode(country)} ${evidence}, seen by ${source}`
  return line('place.evidence', source !== 'none', detail)
}

async function checkSettlement(
  { receipt, status, refusal, settlement }: ReceiptDocument,
  chain: ChainView,
): Promise<VerificationLine[]> {
  if (status !== 'settled' || settlement === null)
    return [line('settlement.status', false, refusal ? `refused: ${refusal}` : `still ${status}`)]
  const { batchId, receiptRoot, proof, transactionHash, blockNumber } = settlement
  const root = await chain.receiptRoot(batchId)
  const posted = await chain.postedBy(transactionHash)
  const isPosted =
    posted?.batchId === batchId &&
    posted.receiptRoot === receiptRoot &&
    posted.blockNumber === blockNumber
  return [
    line('settlement.status', refusal === null, 'settled'),
    line('settlement.root', root === receiptRoot, `batch ${batchId} has root ${root} on the chain`),
    line(
      'settlement.inclusion',
      verifyMerkleProof(root, receipt.id, proof),
      `receipt ${receipt.id} under that root, ${proof.length} siblings`,
    ),
    line('settlement.transaction', isPosted, `${transactionHash} in block ${blockNumber}`),
  ]
}

/** Base64 has spare bits at its end that change nothing; an edit there must not pass unseen. */
function isCanonical(base64: string): boolean {
  return btoa(atob(base64)) === base64
}

function line(name: string, ok: boolean, detail: string): VerificationLine {
  return { name, result: ok ? 'passed' : 'failed', detail }
}
