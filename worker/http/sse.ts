/** Writes server-sent events (https://html.spec.whatwg.org/multipage/server-sent-events.html) at the reader's pace. */
import { systemClock } from '#p2p/stream/clock.ts'
import { createIdleTimer } from '#p2p/stream/idle-timer.ts'
import { toProblem } from '#shared/base/errors.ts'

export interface EventStreamOptions {
  readonly requestId: string
  /** Silence after which a comment is sent to keep the stream alive. */
  readonly heartbeatMs: number
  /** Called with the error that ended the stream early. */
  readonly onError: (error: unknown) => void
}

const HEARTBEAT = ': waiting\n\n'
const DONE = 'data: [DONE]\n\n'

/**
 * Writes one `data:` line for each event, then `data: [DONE]`. An error is the last event, `{ error
 * }` in OpenAI's form, without `[DONE]`. Events are pulled only when the reader is ready.
 */
export function writeEvents(
  events: AsyncIterable<object>,
  options: EventStreamOptions,
): ReadableStream<Uint8Array> {
  const encoder = new TextEncoder()
  const iterator = events[Symbol.asyncIterator]()
  const silence = watchSilence(options.heartbeatMs)
  let next: Promise<IteratorResult<object>> | undefined
  return new ReadableStream<Uint8Array>(
    {
      async pull(controller) {
        next ??= iterator.next()
        try {
          const result = await silence.before(next)
          if (result === 'silence') {
            controller.enqueue(encoder.encode(HEARTBEAT))
            return
          }
          next = undefined
          controller.enqueue(encoder.encode(result.done ? DONE : line(result.value)))
          if (!result.done) return
          silence.stop()
          controller.close()
        } catch (error) {
          silence.stop()
          options.onError(error)
          const { error: member } = toProblem(error, options.requestId)
          controller.enqueue(encoder.encode(line({ error: member })))
          controller.close()
        }
      },
      cancel() {
        silence.stop()
        // Not awaited: an iterator that is busy ends only after its step.
        void iterator.return?.().catch(() => {})
      },
    },
    { highWaterMark: 0 },
  )
}

function line(event: object): string {
  return `data: ${JSON.stringify(event)}\n\n`
}

/** Ends waits that take too long. Most events come much sooner, so all waits share a timer. */
function watchSilence(silenceMs: number) {
  let onSilence = () => {}
  const timer = createIdleTimer(silenceMs, () => onSilence(), systemClock)
  return {
    /** Settles as `promise` does, or with `silence` when it takes too long. */
    async before<T>(promise: Promise<T>): Promise<T | 'silence'> {
      const silence = Promise.withResolvers<'silence'>()
      onSilence = () => silence.resolve('silence')
      timer.start()
      try {
        return await Promise.race([promise, silence.promise])
      } finally {
        timer.pause()
      }
    },
    stop: () => timer.stop(),
  }
}
