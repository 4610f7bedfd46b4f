/** Runs one checked offer on the engine and writes down what was done. */
import type { Engine } from '#engine/engine.ts'
import { AppError } from '#shared/base/errors.ts'
import { LIMITS } from '#shared/base/limits.ts'
import { commitment, digestBytes, type NodeWork } from '#shared/receipt/receipt.ts'
import { textUnits } from '#shared/job/text.ts'
import { createTextMeter, type TextMeter } from '#shared/job/text-meter.ts'
import { concatBytes } from 'viem'
import type { Answer } from '#shared/job/job.ts'
import type { JobOffer } from '#p2p/stream/messages.ts'

export interface RunDeps {
  readonly engine: Engine
  readonly now: () => number
  /** When the offer came, by `now`. */
  readonly takenAtMs: number
  readonly signal: AbortSignal
  readonly emit: (bytes: Uint8Array) => Promise<void>
}

/** @throws {AppError} what the engine throws, or too_large when the output passes its bound */
export async function runOffer(
  offer: JobOffer,
  payload: Uint8Array,
  deps: RunDeps,
): Promise<{ answer: Answer; work: NodeWork }> {
  const { work, ticket, salt } = offer
  // The hub's time, counted from the ticket, so a wrong clock on the node does no harm.
  const hubTime = () => ticket.issuedAtMs + Math.max(0, deps.now() - deps.takenAtMs)
  const startedAtMs = hubTime()
  const meter = work.kind === 'text' ? createTextMeter(work.maxTokens) : undefined
  const chunks: Uint8Array[] = []
  let outputBytes = 0
  const answer = await deps.engine.run(work, payload, {
    signal: deps.signal,
    emit: async (bytes) => {
      outputBytes += bytes.length
      if (outputBytes > LIMITS.jobOutputBytes)
        throw new AppError('too_large', `The output is over ${LIMITS.jobOutputBytes} bytes.`)
      count(meter, bytes)
      chunks.push(bytes)
      await deps.emit(bytes)
    },
  })
  const units =
    meter === undefined || work.kind !== 'text'
      ? ticket.units
      : Math.min(ticket.units, textUnits(work.inputBytes, meter.finish().textBytes))
  const [first] = chunks
  return {
    answer,
    work: {
      outputCommitment: commitment(
        salt,
        await digestBytes(chunks.length === 1 && first !== undefined ? first : concatBytes(chunks)),
      ),
      units,
      startedAtMs,
      finishedAtMs: Math.max(startedAtMs, hubTime()),
      provider: answer.provider,
    },
  }
}

/** @throws {AppError} internal: unreadable events are the engine's fault, not the job's */
function count(meter: TextMeter | undefined, bytes: Uint8Array): void {
  try {
    meter?.push(bytes)
  } catch (cause) {
    throw new AppError('internal', 'The engine wrote events that cannot be read.', { cause })
  }
}
