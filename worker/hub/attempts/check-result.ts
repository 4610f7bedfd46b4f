/** Checks a node's answer before anybody sees it: the receipt fits the ticket, the bytes fit the work. */
import { checkAnswer } from '#shared/receipt/check-answer.ts'
import { timesFault } from '#shared/receipt/check-receipt.ts'
import { typedDigest, type Domain } from '#shared/proof/domain.ts'
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
import { verifySignature, type PublicKey } from '#shared/proof/signature.ts'
import { textUnits } from '#shared/job/text.ts'
import type { TextMeter } from '#shared/job/text-meter.ts'
import type { JobResult } from '#p2p/stream/messages.ts'

/** An answer that no honest node gives. Its node is quarantined. */
export class UnacceptableAnswer extends AppError {}

export interface ResultContext {
  readonly ticket: Ticket
  readonly work: Work
  /** The manifest of a model job; undefined for a kernel. */
  readonly manifest: ModelManifest | undefined
  /** The meter that has read the events of a text job. */
  readonly meter: TextMeter | undefined
  readonly salt: `0x${string}`
  readonly receiptKey: PublicKey
  readonly domain: Domain
  /** The hub's time when the answer was complete. */
  readonly nowMs: number
}

/** A node counts time from its ticket, so it is ahead of the hub only if a clock was set meanwhile. */
const STEPPED_CLOCK_MS = 1_000

/** @returns the receipt's id @throws {AppError} node_lost naming the fault */
export async function checkResult(
  result: JobResult,
  payload: Uint8Array,
  context: ResultContext,
): Promise<Bytes32> {
  const { receipt, answer } = result
  checkOutputs(answer.outputs, payload, context)
  if (answer.provider !== receipt.provider)
    fault('the receipt and the answer name different providers')
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
    fault("the receipt's key is not the one in the presence record")
  }
  if (
    receipt.units !== owedUnits(context) ||
    BigInt(receipt.amountMicroUsd) !== BigInt(receipt.units) * BigInt(ticket.priceMicroUsd)
  ) {
    fault("the receipt's units or amount do not match the ticket")
  }
  if (receipt.verification !== 'none') fault('the receipt claims a verification that was not made')
  const time = timesFault(receipt, context.nowMs + STEPPED_CLOCK_MS)
  if (time !== undefined) fault(time)
  // Reuses the hub's own ticket, which is equal and already hashed.
  const id = receiptHash({ ...receipt, ticket })
  if (!(await verifySignature(receipt.receiptKey, typedDigest(context.domain, id), signature)))
    fault("the receipt's signature is invalid")
  return id
}

/** Compares field by field, which is much cheaper than hashing the second ticket and as strict. */
function sameTicket(given: Ticket, issued: Ticket): boolean {
  const { place, ...rest } = issued
  const isSame = (a: object, b: object) =>
    Object.keys(b).every((key) => a[key as keyof typeof a] === b[key as keyof typeof b])
  return isSame(given, rest) && isSame(given.place, place)
}

/** The hub bills text by its own count. The ticket's units are a ceiling for text and exact otherwise. */
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
  const text = `The node's answer is not acceptable: ${detail}.`
  throw new UnacceptableAnswer('node_lost', text)
}
