/** Wraps every request: its id, its clock, and the headers of every answer. */
import { createMiddleware } from 'hono/factory'
import { routePath } from 'hono/route'
import { createBudget, withinBudget } from '#p2p/stream/peer-budget.ts'
import { newRequestId } from '#shared/base/ids.ts'
import { readConfig } from '#worker/platform/config.ts'
import { clientAddress } from '#worker/edge/place.ts'
import type { AppContext, AppEnv, Isolate } from '#worker/gate/context.ts'
import { commonHeaders } from './answer.ts'
import { childContext, formatTraceparent } from './trace-context.ts'

/** A client's own id is used if it is short and safe for log lines and headers. */
const REQUEST_ID = /^[A-Za-z0-9_.-]{8,128}$/

/** Lines about refusals that one isolate writes, at once and per second. */
const REFUSAL_LINES = 64
const REFUSAL_LINES_PER_SECOND = 8

export function requestScope(isolate: Isolate) {
  const clock = { nowMs: isolate.nowMs }
  const [most, perSecond] = [REFUSAL_LINES, REFUSAL_LINES_PER_SECOND]
  const refusalLog = withinBudget(isolate.log, createBudget({ most, perSecond, clock }))
  return createMiddleware<AppEnv>(async (c, next) => {
    const trace = childContext(c.req.header('traceparent'), isolate.random)
    c.set('isolate', isolate)
    c.set('log', isolate.log.with({ traceId: trace.traceId }))
    c.set('refusalLog', refusalLog.with({ traceId: trace.traceId }))
    c.set('traceparent', formatTraceparent(trace))
    c.set('answerHeaders', new Map())
    c.set('config', readConfig(c.env))
    c.set('startedMs', performance.now())
    c.set('address', await clientAddress(c.req.raw, c.get('config')))
    const given = c.req.header('x-request-id') ?? ''
    c.set('requestId', REQUEST_ID.test(given) ? given : newRequestId(isolate.random))
    await next()
    c.get('timer')?.end()
    countAnswer(c)
    // A WebSocket's answer comes from the hub, and its headers are immutable.
    if (c.res.status !== 101 && c.get('hasHeaders') !== true) setHeaders(c)
  })
}

/** The last match is the route itself; a pattern with a star is middleware. */
function countAnswer(c: AppContext): void {
  const path = routePath(c, -1)
  c.get('isolate').metrics.answered({
    route: path.includes('*') ? 'other' : path,
    method: c.req.method,
    status: c.res.status,
    seconds: (performance.now() - c.get('startedMs')) / 1000,
  })
}

function setHeaders(c: AppContext): void {
  const given = openHeaders(c)
  const isReplay = given.has('x-littoral-policy')
  for (const [name, value] of Object.entries(commonHeaders(c)))
    if (name !== 'x-littoral-policy' || !isReplay) given.set(name, value)
}

/** @returns the answer's headers, which can be set: a fetched response is copied first */
function openHeaders(c: AppContext): Headers {
  try {
    c.res.headers.set('x-content-type-options', 'nosniff')
  } catch {
    c.res = new Response(c.res.body, c.res)
  }
  return c.res.headers
}
