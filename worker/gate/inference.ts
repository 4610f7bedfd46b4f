/**
 * Middleware of every route that runs a job: key, ingress, deadline and quota before the body is
 * read, then the idempotency key.
 */
import { createMiddleware } from 'hono/factory'
import type { AppEnv } from './context.ts'
import { auditRefusals } from './audit-refusals.ts'
import { requireScope } from './auth.ts'
import { DEADLINE_HEADER, parseDeadline } from './deadline.ts'
import { idempotent } from './idempotent.ts'
import { takeQuota } from './quota.ts'
import { checkIngress } from './residency.ts'

const readDeadline = createMiddleware<AppEnv>(async (c, next) => {
  c.set('deadlineMs', parseDeadline(c.req.header(DEADLINE_HEADER)))
  await next()
})

/** Use in this order: `.post(path, ...inference, handler)`. */
export const inference = [
  requireScope('infer'),
  auditRefusals,
  checkIngress,
  readDeadline,
  takeQuota,
  idempotent,
] as const
