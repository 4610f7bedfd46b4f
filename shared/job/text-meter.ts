/** Reads the events of a text answer as they arrive. Hub and node count the bill with it; the Worker reads the text. */
import { concatBytes } from 'viem'
import { AppError } from '#shared/base/errors.ts'
import { LIMITS } from '#shared/base/limits.ts'
import { TextEvent, type TextEnd } from './text.ts'

export type TextMeter = ReturnType<typeof createTextMeter>

const NEWLINE = 10

export function createTextMeter(maxTokens: number) {
  const decoder = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true })
  let rest: Uint8Array = new Uint8Array(0)
  const encoder = new TextEncoder()
  let tokens = 0
  let textBytes = 0
  let end: TextEnd | undefined

  const take = (line: Uint8Array): TextEvent => {
    if (end !== undefined) throw broken('goes on after its end')
    const event = readEvent(decoder, line)
    if (event.type === 'end') end = event
    else {
      tokens += event.tokens.length
      textBytes += encoder.encode(event.text).length
    }
    if (tokens > maxTokens) throw broken(`has more than the ${maxTokens} tokens asked for`)
    return event
  }

  return {
    /**
     * Takes the next bytes, cut anywhere, and returns the events that they complete.
     * @throws {AppError} invalid_request for a broken event, more tokens than asked for, or anything after the end
     */
    push(bytes: Uint8Array): TextEvent[] {
      const events: TextEvent[] = []
      let from = 0
      for (let at = bytes.indexOf(NEWLINE); at !== -1; at = bytes.indexOf(NEWLINE, from)) {
        events.push(take(concatBytes([rest, bytes.subarray(from, at)])))
        rest = new Uint8Array(0)
        from = at + 1
      }
      if (rest.length + bytes.length - from > LIMITS.textEventBytes)
        throw broken(`has a line over ${LIMITS.textEventBytes} bytes`)
      if (from < bytes.length) rest = concatBytes([rest, bytes.subarray(from)])
      return events
    },
    /**
     * @returns the node's count of tokens, the text's UTF-8 bytes, which are billed, and the last event
     * @throws {AppError} invalid_request when the answer is incomplete
     */
    finish() {
      if (end === undefined || rest.length > 0) throw broken('is cut short')
      return { tokens, textBytes, end }
    },
  }
}

function readEvent(decoder: InstanceType<typeof TextDecoder>, line: Uint8Array): TextEvent {
  if (line.length > LIMITS.textEventBytes)
    throw broken(`has a line over ${LIMITS.textEventBytes} bytes`)
  try {
    return TextEvent.parse(JSON.parse(decoder.decode(line)))
  } catch (cause) {
    throw broken('has a line that is no event', cause)
  }
}

function broken(what: string, cause?: unknown): AppError {
  return new AppError('invalid_request', `The text answer ${what}.`, { cause })
}
