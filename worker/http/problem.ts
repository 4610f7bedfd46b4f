/** Turns every error into one problem document, which OpenAI's clients also understand. */
import { ERRORS, toAppError, toProblem } from '#shared/base/errors.ts'
import type { AppContext } from '#worker/gate/context.ts'

const RETRY_AFTER_SECONDS = 1

export function answerProblem(error: unknown, c: AppContext): Response {
  const appError = toAppError(error)
  const { status, retryable } = ERRORS[appError.code]
  const { requestId, isolate } = c.var
  isolate.metrics.refused(appError.code)
  const { code } = appError
  if (code === 'internal') {
    c.var.log.error('request.failed', { requestId, path: c.req.path, cause: describe(appError) })
  } else {
    c.var.log.debug('request.refused', { requestId, path: c.req.path, code })
  }
  const headers = new Headers({ 'content-type': 'application/problem+json' })
  if (retryable) {
    headers.set('retry-after', String(appError.meta.retryAfterSeconds ?? RETRY_AFTER_SECONDS))
  } else {
    headers.set('x-should-retry', 'false')
  }
  if (status === 401) headers.set('www-authenticate', 'Bearer')
  const problem = toProblem(appError, requestId)
  // The Open Inference Protocol defines `error` as a text, and its generated clients read it as
  // one.
  const body = isOip(c.req.path) ? { ...problem, error: problem.detail } : problem
  return new Response(JSON.stringify(body), { status, headers })
}

function isOip(path: string): boolean {
  return path === '/v2' || path.startsWith('/v2/')
}

function describe({ cause, message }: Error): string {
  return cause instanceof Error ? (cause.stack ?? cause.message) : message
}
