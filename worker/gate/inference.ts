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

/** Checks where the request entered and how long its caller waits, and counts it. */
export const admit = createMiddleware<AppEnv>(async (c, next) => {
  await checkIngress(c)
  c.set('deadlineMs', parseDeadline(c.req.header(DEADLINE_HEADER)))
  await takeQuota(c)
  await next()
})

/** Use in this order: `.post(path, ...inference, handler)`. */
export const inference = [requireScope('infer'), auditRefusals, admit, idempotent] as const
