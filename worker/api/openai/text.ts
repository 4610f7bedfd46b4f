/** Runs a priced text job and writes its answer, whole or as server-sent events, in the route's dialect. */
import { AppError, errorCode } from '#shared/base/errors.ts'
import { createTextMeter, type TextMeter } from '#shared/job/text-meter.ts'
import type { TextDelta } from '#shared/job/text.ts'
import type { AppContext } from '#worker/gate/context.ts'
import { closeText, type TextAbout, type TextDialect } from './dialect.ts'
import type { PricedText, Sampling } from './sampling.ts'
import type { ResidencyChoice } from '#worker/body/residency.ts'
import { answerJson, answerWith } from '#worker/http/answer.ts'
import { writeEvents } from '#worker/http/sse.ts'
import { runJob, streamJob, type StreamedJob } from '#worker/dispatch/run-job.ts'

/** Silence after which an event stream sends a comment to show that it is alive. */
const SSE_HEARTBEAT_MS = 10_000

export type TextRequest = ResidencyChoice & Pick<Sampling, 'stream' | 'stream_options'>

const EVENT_STREAM = {
  'content-type': 'text/event-stream; charset=utf-8',
  'cache-control': 'no-cache, no-transform',
  // Keeps nginx and similar proxies from buffering events.
  'x-accel-buffering': 'no',
}

/** @throws {AppError} the job's error, if it fails before the first byte of the answer */
export async function answerText(
  c: AppContext,
  { priced, request }: { readonly priced: PricedText; readonly request: TextRequest },
  dialect: TextDialect,
): Promise<Response> {
  if (request.stream === true) return await streamText(c, { priced, request }, dialect)
  const { outcome, payload, jobId } = await runJob(c, priced, request)
  const { digest, maxTokens } = priced.work
  const meter = createTextMeter(maxTokens)
  const deltas = readDeltas(meter, payload)
  const close = closeText(outcome, digest, finish(meter))
  return answerJson(c, dialect.whole(aboutJob(c, jobId, { priced, request }), deltas, close))
}

async function streamText(
  c: AppContext,
  text: { readonly priced: PricedText; readonly request: TextRequest },
  dialect: TextDialect,
): Promise<Response> {
  const { requestId } = c.var
  const job = await streamJob(c, text.priced, text.request)
  const about = aboutJob(c, job.jobId, text)
  const stream = writeEvents(textEvents(job, { ...text, about }, dialect), {
    requestId,
    heartbeatMs: SSE_HEARTBEAT_MS,
    onError: (error) => logFault(c, error),
  })
  return answerWith(c, stream, EVENT_STREAM)
}

async function* textEvents(
  job: StreamedJob,
  { priced, about }: { readonly priced: PricedText; readonly about: TextAbout },
  dialect: TextDialect,
): AsyncGenerator<object> {
  const { digest, maxTokens } = priced.work
  const meter = createTextMeter(maxTokens)
  const chunks = dialect.chunks(about)
  yield* chunks.begin()
  for await (const bytes of job.chunks) {
    for (const delta of readDeltas(meter, bytes)) yield* chunks.delta(delta)
  }
  // The finish is sent with the receipt, so a client that sees it has a checked and recorded
  // answer.
  yield* chunks.end(closeText(await job.outcome, digest, finish(meter)))
}

function aboutJob(
  c: AppContext,
  jobId: string,
  { priced, request }: { readonly priced: PricedText; readonly request: TextRequest },
): TextAbout {
  return {
    jobId,
    createdSeconds: Math.floor(c.var.isolate.nowMs() / 1000),
    model: priced.work.model,
    includeUsage: request.stream_options?.include_usage === true,
  }
}

function readDeltas(meter: TextMeter, bytes: Uint8Array): TextDelta[] {
  return reading(() => meter.push(bytes)).filter((event) => event.type === 'delta')
}

function finish(meter: TextMeter) {
  return reading(() => meter.finish())
}

/** The hub has parsed the same bytes, so a fault here means that bytes were lost in between. */
function reading<T>(read: () => T): T {
  try {
    return read()
  } catch (cause) {
    throw new AppError('node_lost', 'The answer was lost on its way.', { cause })
  }
}

function logFault(c: AppContext, error: unknown): void {
  const { requestId, jobId } = c.var
  const code = errorCode(error)
  const facts = { requestId, jobId, path: c.req.path }
  if (code !== undefined && code !== 'internal') {
    c.var.refusalLog.info('stream.failed', { ...facts, code })
    return
  }
  c.var.log.error('stream.failed', {
    ...facts,
    cause: error instanceof Error ? (error.stack ?? error.message) : 'unknown',
  })
}
