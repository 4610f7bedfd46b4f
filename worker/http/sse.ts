/** Server-sent events (https://html.spec.whatwg.org/multipage/server-sent-events.html), written as their reader takes them. */
import { toProblem } from '#shared/base/errors.ts'

export interface EventStreamOptions {
  readonly requestId: string
  /** How long the stream may be silent before a comment shows that it lives. */
  readonly heartbeatMs: number
  /** Told what ended the stream early. */
  readonly onError: (error: unknown) => void
}

const HEARTBEAT = ': waiting\n\n'
const DONE = 'data: [DONE]\n\n'

/**
 * One `data:` line an event, then `data: [DONE]`. An error is the last event, as `{ error }` in OpenAI's form, and
 * `[DONE]` does not follow it. Nothing is asked of `events` before the reader wants it.
 */
export function writeEvents(
  events: AsyncIterable<object>,
  options: EventStreamOptions,
): ReadableStream<Uint8Array> {
  const encoder = new TextEncoder()
  const iterator = events[Symbol.asyncIterator]()
  let next: Promise<IteratorResult<object>> | undefined
  return new ReadableStream<Uint8Array>(
    {
      async pull(controller) {
        next ??= iterator.next()
        try {
          const result = await orSilence(next, options.heartbeatMs)
          if (result === 'silence') {
            controller.enqueue(encoder.encode(HEARTBEAT))
            return
          }
          next = undefined
          controller.enqueue(encoder.encode(result.done ? DONE : line(result.value)))
          if (result.done) controller.close()
        } catch (error) {
          options.onError(error)
          const { error: member } = toProblem(error, options.requestId)
          controller.enqueue(encoder.encode(line({ error: member })))
          controller.close()
        }
      },
      cancel() {
        // Not waited for: an iterator in the middle of a step ends after it.
        void iterator.return?.().catch(() => {})
      },
    },
    { highWaterMark: 0 },
  )
}

function line(event: object): string {
  return `data: ${JSON.stringify(event)}\n\n`
}

async function orSilence<T>(promise: Promise<T>, silenceMs: number): Promise<T | 'silence'> {
  const { promise: silence, resolve } = Promise.withResolvers<'silence'>()
  const timer = setTimeout(() => resolve('silence'), silenceMs)
  try {
    return await Promise.race([promise, silence])
  } finally {
    clearTimeout(timer)
  }
}
