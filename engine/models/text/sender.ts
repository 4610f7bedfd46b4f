/** Sends the events of an answer. Tokens are gathered while the reader takes an event; a reader that stalls loses the job. */
import { concatBytes } from 'viem'
import { AppError, errorCode } from '#shared/base/errors.ts'
import { LIMITS } from '#shared/base/limits.ts'
import { encodeTextEvent, type TextDelta, type TextEvent } from '#shared/job/text.ts'
import { beforeDeadline } from '#shared/base/deadline.ts'

/** Total time that the reader of one text may keep the device waiting. */
const TEXT_STALL_MS = 10_000

export interface SenderOptions {
  readonly emit: (line: Uint8Array) => Promise<void>
  readonly signal: AbortSignal
  readonly now: () => number
  /** @default TEXT_STALL_MS */
  readonly stallMs?: number
}

export type Sender = ReturnType<typeof createSender>

export type Logprob = NonNullable<TextDelta['logprobs']>[number]

/** Tokens that follow faster share an event. Each event costs 3 ms of CPU in node, hub and Worker. */
const EVENT_EVERY_MS = 33
const MAX_EVENT_TOKENS = 256

export function createSender({ emit, signal, now, stallMs = TEXT_STALL_MS }: SenderOptions) {
  let waiting = emptyDelta()
  let sizeBytes = 0
  let sending: Promise<void> | undefined
  let failure: { readonly error: unknown } | undefined
  let sentAtMs = -Infinity
  let stalledMs = 0

  /** Waits until the reader has taken the last event. This time counts against the job. */
  const taken = async () => {
    const startedMs = now()
    const timeoutMs = Math.max(0, stallMs - stalledMs)
    await beforeDeadline(sending ?? Promise.resolve(), {
      timeoutMs,
      signal,
      what: 'Sending',
    }).catch((cause: unknown) => {
      if (errorCode(cause) !== 'node_timeout') throw cause
      throw new AppError('cancelled', 'The answer was not taken in time.')
    })
    stalledMs += now() - startedMs
    if (failure !== undefined) throw failure.error
  }
  const send = (...events: readonly TextEvent[]) => {
    sentAtMs = now()
    sending = emit(concatBytes(events.map(encodeTextEvent))).then(
      () => void (sending = undefined),
      (error: unknown) => {
        sending = undefined
        failure = { error }
      },
    )
  }
  const flush = async () => {
    await taken()
    const events = gathered()
    if (events.length > 0) send(...events)
  }
  const gathered = (): TextEvent[] => {
    const delta = waiting
    waiting = emptyDelta()
    sizeBytes = 0
    return delta.tokens.length === 0 && delta.text === '' ? [] : [delta]
  }

  return {
    /** @throws {AppError} cancelled when the caller left or was too slow; the error of `emit` */
    async token(id: number, text: string, logprob?: Logprob) {
      if (failure !== undefined) throw failure.error
      const addedBytes = 16 + text.length * 6 + (logprob ? JSON.stringify(logprob).length * 3 : 0)
      if (sizeBytes + addedBytes > LIMITS.textEventBytes) await flush()
      waiting.tokens.push(id)
      waiting.text += text
      if (logprob !== undefined) (waiting.logprobs ??= []).push(logprob)
      sizeBytes += addedBytes
      const isFull = waiting.tokens.length >= MAX_EVENT_TOKENS
      const isDue = sending === undefined && now() - sentAtMs >= EVENT_EVERY_MS
      if (isFull || isDue) await flush()
    },
    async end(text: string, end: Extract<TextEvent, { type: 'end' }>) {
      waiting.text += text
      await taken()
      // One piece saves a round trip.
      send(...gathered(), end)
      await taken()
    },
  }
}

function emptyDelta(): TextDelta {
  return { type: 'delta', text: '', tokens: [] }
}
