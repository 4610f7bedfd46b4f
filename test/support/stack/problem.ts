/** Holding a refusal to the one shape that every error has. */
import { expect } from 'vitest'
import { ERRORS, type ErrorCode } from '#shared/base/errors.ts'
import { ProblemReply } from '#shared/api/problem.ts'
import type { Reply } from './worker.ts'

/** Checks that a reply is the one error document, and gives it. */
export function problem(reply: Reply, code: ErrorCode) {
  const document = ProblemReply.parse(reply.body)
  expect({ status: reply.status, code: document.code }).toEqual({
    status: ERRORS[code].status,
    code,
  })
  expect(document.status).toBe(reply.status)
  const { type } = ERRORS[code]
  const { rule, needed, detail: message } = document
  // Below /v2 the member is the text of the Open Inference Protocol.
  if (typeof document.error === 'string') expect(document.error).toBe(document.detail)
  else {
    const { param, ...told } = document.error
    expect(told).toEqual({ code, type, message, rule, needed })
    expect(param ?? '').not.toContain('/')
  }
  expect(reply.headers.get('content-type')).toBe('application/problem+json')
  expect(reply.headers.get('x-request-id')).toBe(document.requestId)
  const { retryable } = ERRORS[code]
  expect(reply.headers.get('x-should-retry')).toBe(retryable ? null : 'false')
  expect(reply.headers.has('retry-after')).toBe(retryable)
  return document
}
