/** What the hub checks of an answer before anybody sees it: the receipt is for this ticket, the bytes are what the work yields. */
import { checkAnswer } from '#shared/receipt/check-answer.ts'
import { timesFault } from '#shared/receipt/check-receipt.ts'
import { typedDigest, type Domain } from '#shared/base/eip712.ts'
import { AppError, toAppError } from '#shared/base/errors.ts'
import type { Bytes32 } from '#shared/base/ids.ts'
import type { TensorHeader, Work } from '#shared/job/job.ts'
import type { ModelManifest } from '#shared/job/model.ts'
import {
  commitment,
  digestBytes,
  receiptHash,
  type Receipt,
  type Ticket,
} from '#shared/receipt/receipt.ts'
import { verifySignature, type PublicKey } from '#shared/base/signature.ts'
import { textUnits } from '#shared/job/text.ts'
import type { TextMeter } from '#shared/job/text-meter.ts'
import type { JobResult } from '#p2p/stream/messages.ts'

/** An answer that no honest node gives: its node gets no more work. */
export class UnacceptableAnswer extends AppError {}

export interface ResultContext {
  readonly ticket: Ticket
  readonly work: Work
  /** The manifest of a model job; undefined for a kernel. */
  readonly manifest: ModelManifest | undefined
  /** What has read the events of a text job. */
  readonly meter: TextMeter | undefined
  readonly salt: `0x${string}`
  readonly receiptKey: PublicKey
  readonly domain: Domain
  /** The hub's clock, once the answer is here. */
  readonly nowMs: number
}

/** A node counts from its ticket, so only a clock that was set meanwhile is ahead of the hub's. */
const STEPPED_CLOCK_MS = 1_000

/**
 * @returns the receipt's id
 * @throws {AppError} node_lost naming the fault: such an answer is as good as none
 */
export async function checkResult(
  result: JobResult,
  payload: Uint8Array,
  context: ResultContext,
): Promise<Bytes32> {
  const { receipt, answer } = result
  checkOutputs(answer.outputs, payload, context)
  if (answer.provider !== receipt.provider)
    fault('the receipt names another provider than the answer')
  if (receipt.outputCommitment !== commitment(context.salt, await digestBytes(payload))) {
    fault('the receipt is for other output bytes')
  }
  return checkReceipt(receipt, result.nodeSignature, context)
}

async function checkReceipt(
  receipt: Receipt,
  signature: `0x${string}`,
  context: ResultContext,
): Promise<Bytes32> {
  const { ticket } = context
  if (!sameTicket(receipt.ticket, ticket)) fault('the receipt embeds another ticket')
  if (
    receipt.receiptKey.x !== context.receiptKey.x ||
    receipt.receiptKey.y !== context.receiptKey.y
  ) {
    fault('the receipt is signed by another key than the presence record names')
  }
  if (
    receipt.units !== owedUnits(context) ||
    BigInt(receipt.amountMicroUsd) !== BigInt(receipt.units) * BigInt(ticket.priceMicroUsd)
  ) {
    fault('the receipt bills something else than the ticket')
  }
  if (receipt.verification !== 'none') fault('the receipt claims a verification that nobody made')
  const time = timesFault(receipt, context.nowMs + STEPPED_CLOCK_MS)
  if (time !== undefined) fault(time)
  // The hub's own ticket has been hashed, and is the same.
  const id = receiptHash({ ...receipt, ticket })
  if (!(await verifySignature(receipt.receiptKey, typedDigest(context.domain, id), signature)))
    fault('the signature on the receipt is not valid')
  return id
}

/** Field by field: cheaper by far than hashing a second one, and no less strict. */
function sameTicket(given: Ticket, issued: Ticket): boolean {
  const { place, ...rest } = issued
  const isSame = (a: object, b: object) =>
    Object.keys(b).every((key) => a[key as keyof typeof a] === b[key as keyof typeof b])
  return isSame(given, rest) && isSame(given.place, place)
}

/** What the hub itself has counted; the ticket's units are a ceiling for text and the amount for everything else. */
function owedUnits({ ticket, work, meter }: ResultContext): number {
  if (work.kind !== 'text') return ticket.units
  try {
    return Math.min(ticket.units, textUnits(work.inputBytes, meter?.finish().textBytes ?? 0))
  } catch (error) {
    return fault(toAppError(error).detail)
  }
}

function checkOutputs(
  headers: readonly TensorHeader[],
  payload: Uint8Array,
  { work, manifest }: ResultContext,
): void {
  try {
    checkAnswer(work, { headers, payload }, manifest)
  } catch (error) {
    fault(toAppError(error).detail)
  }
}

function fault(detail: string): never {
  const text = `The node gave an answer that cannot be accepted: ${detail}.`
  throw new UnacceptableAnswer('node_lost', text)
}
