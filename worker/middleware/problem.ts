/** Anything thrown becomes one problem document, which OpenAI's clients read too. */
import { ERRORS, toAppError, toProblem } from '#shared/errors.ts'
import type { AppContext } from '../context.ts'

const RETRY_AFTER_SECONDS = 1

export function answerProblem(error: unknown, c: AppContext): Response {
  const appError = toAppError(error)
  const { status, retryable } = ERRORS[appError.code]
  const { requestId, isolate } = c.var
  const { code } = appError
  if (code === 'internal') {
    isolate.log.error('request.failed', { requestId, path: c.req.path, cause: describe(appError) })
  } else {
    isolate.log.debug('request.refused', { requestId, path: c.req.path, code })
  }
  const headers = new Headers({ 'content-type': 'application/problem+json' })
  if (retryable) {
    headers.set('retry-after', String(appError.meta.retryAfterSeconds ?? RETRY_AFTER_SECONDS))
  } else {
    headers.set('x-should-retry', 'false')
  }
  if (status === 401) headers.set('www-authenticate', 'Bearer')
  return new Response(JSON.stringify(toProblem(appError, requestId)), { status, headers })
}

function describe({ cause, message }: Error): string {
  return cause instanceof Error ? (cause.stack ?? cause.message) : message
}
