/** Writes refusals and their rules into the tenant's audit log, after the answer. */
import { createMiddleware } from 'hono/factory'
import { errorCode, toAppError, type ErrorCode } from '#shared/base/errors.ts'
import { callerOf, ownTenant, type AppEnv } from './context.ts'
import { keepAlive } from './keep-alive.ts'

/** Refusals about placement, capacity and money. Malformed requests say nothing about where data went. */
const AUDITED: readonly ErrorCode[] = [
  'residency_ingress_denied',
  'residency_unsatisfiable',
  'no_capacity',
  'node_lost',
  'node_timeout',
  'deadline_unmeetable',
  'payment_required',
  'rate_limited',
]

export const auditRefusals = createMiddleware<AppEnv>(async (c, next) => {
  await next()
  const code = errorCode(c.error)
  if (code === undefined || !AUDITED.includes(code)) return
  const { rule } = toAppError(c.error).meta
  const { isolate } = c.var
  const caller = callerOf(c)
  const refusal = {
    jobId: c.var.jobId ?? null,
    by: caller.keyId,
    code,
    rule: typeof rule === 'string' ? rule : null,
    policyId: c.var.policy?.id ?? null,
  }
  const sent = isolate.refusals.note(caller.tenant, refusal, (refusals) =>
    ownTenant(c).recordRefusals(refusals),
  )
  if (sent !== undefined) keepAlive(c, sent)
})
