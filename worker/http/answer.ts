/**
 * Answers with all headers at once. Each header that is set on a finished response costs a call of the runtime, so the
 * routes that run jobs answer this way.
 */
import type { AppContext } from '#worker/gate/context.ts'

export function answerJson(c: AppContext, value: unknown): Response {
  return answerWith(c, JSON.stringify(value), { 'content-type': 'application/json' })
}

/** @param own headers of this answer alone */
export function answerWith(
  c: AppContext,
  body: string | Uint8Array<ArrayBuffer> | ReadableStream<Uint8Array>,
  own: Readonly<Record<string, string>>,
): Response {
  c.set('hasHeaders', true)
  return new Response(body, { headers: { ...own, ...commonHeaders(c) } })
}

/** The headers of every answer, errors included. */
export function commonHeaders(c: AppContext): Record<string, string> {
  const policy = c.get('policy')
  return {
    'x-request-id': c.get('requestId'),
    'x-littoral-policy': policy === undefined ? 'none' : `${policy.id}@${policy.version}`,
    'server-timing': serverTiming(c),
    'x-content-type-options': 'nosniff',
    ...Object.fromEntries(c.get('answerHeaders')),
  }
}

/** Where the time went; `edge` is the Worker and the way to the hub. */
function serverTiming(c: AppContext): string {
  const totalMs = performance.now() - c.get('startedMs')
  const timing = c.get('timing')
  if (timing === undefined) return `edge;dur=${totalMs.toFixed(1)}`
  const { loadMs = 0, queueMs, networkMs, computeMs } = timing
  const edgeMs = Math.max(0, totalMs - loadMs - queueMs - networkMs - computeMs)
  const load = loadMs > 0 ? ` load;dur=${loadMs.toFixed(1)},` : ''
  return (
    `edge;dur=${edgeMs.toFixed(1)},${load} queue;dur=${queueMs.toFixed(1)}, ` +
    `network;dur=${networkMs.toFixed(1)}, compute;dur=${computeMs.toFixed(1)}`
  )
}
