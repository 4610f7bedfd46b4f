/** Checks a node's answer before anybody sees it: the receipt fits the ticket, the bytes fit the work. */
import { checkAnswer } from '#shared/receipt/check-answer.ts'
import { timesFault } from '#shared/receipt/check-receipt.ts'
import type { Domain } from '#shared/proof/domain.ts'
import { AppError, toAppError } from '#shared/base/errors.ts'
import type { Bytes32 } from '#shared/base/ids.ts'
import type { TensorHeader, Work } from '#shared/job/job.ts'
import type { ModelManifest } from '#shared/job/model.ts'
import {
  commitment,
  digestBytes,
  RECEIPT_LAYOUT,
  receiptId,
  receiptOf,
  type Receipt,
  type Ticket,
} from '#shared/receipt/receipt.ts'
import type { PublicKey } from '#shared/proof/signature.ts'
import { verifyLeaf } from '#shared/proof/tree-signature.ts'
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

export interface CheckedReceipt {
  readonly id: Bytes32
  readonly receipt: Receipt
  /** By {@link RECEIPT_LAYOUT}. */
  readonly bytes: Uint8Array
}

/** @returns the receipt, written from the hub's own ticket @throws {AppError} node_lost naming the fault */
export async function checkResult(
  { answer, work, nodeSignature }: JobResult,
  payload: Uint8Array,
  context: ResultContext,
): Promise<CheckedReceipt> {
  const { ticket, receiptKey, domain, salt, nowMs } = context
  checkOutputs(answer.outputs, payload, context)
  if (answer.provider !== work.provider)
    fault('the receipt and the answer name different providers')
  if (work.outputCommitment !== commitment(salt, await digestBytes(payload)))
    fault('the receipt is for other output bytes')
  if (work.units !== owedUnits(context)) fault("the receipt's units do not match the ticket")
  const receipt = receiptOf(ticket, receiptKey, work)
  const time = timesFault(receipt, nowMs + STEPPED_CLOCK_MS)
  if (time !== undefined) fault(time)
  const bytes = RECEIPT_LAYOUT.encode(domain, receipt)
  const id = receiptId(bytes)
  if (!(await verifyLeaf(id, nodeSignature, { by: 'node', domain, key: receiptKey })))
    fault("the receipt's signature is invalid, or is for another ticket")
  return { id, receipt, bytes }
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
