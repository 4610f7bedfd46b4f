/** Turns every error into one problem document, which OpenAI's clients also understand. */
import { ERRORS, toAppError, toProblem, type AppError } from '#shared/base/errors.ts'
import type { AppContext } from '#worker/gate/context.ts'

const RETRY_AFTER_SECONDS = 1

export function answerProblem(error: unknown, c: AppContext): Response {
  const appError = toAppError(error)
  const { status, retryable } = ERRORS[appError.code]
  const { requestId, isolate } = c.var
  c.set('hasHeaders', false)
  isolate.metrics.refused(appError.code)
  logProblem(appError, c)
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

/** A stranger's faults are only counted: anybody can cause them. */
function logProblem(error: AppError, c: AppContext): void {
  const { requestId, jobId, caller, log, refusalLog } = c.var
  const facts = { requestId, jobId, path: c.req.path }
  const { code, meta } = error
  if (code === 'internal') log.error('request.failed', { ...facts, cause: describe(error) })
  else if (caller === undefined) log.debug('request.refused', { ...facts, code })
  else
    refusalLog.info('request.refused', { ...facts, tenant: caller.tenant, code, rule: meta.rule })
}

function isOip(path: string): boolean {
  return path === '/v2' || path.startsWith('/v2/')
}

function describe({ cause, message }: Error): string {
  return cause instanceof Error ? (cause.stack ?? cause.message) : message
}
