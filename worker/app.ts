/** The HTTP application: all routes and the middleware around them. */
import { Hono } from 'hono'
import { AppError } from '#shared/base/errors.ts'
import type { AppContext, AppEnv, Isolate } from '#worker/gate/context.ts'
import { checkRequest } from '#worker/http/check-request.ts'
import { FixedPaths } from '#worker/http/fixed-paths.ts'
import { answerProblem } from '#worker/http/problem.ts'
import { requestScope } from '#worker/http/request-scope.ts'
import { auditRoutes } from '#worker/api/audit/route.ts'
import { complianceRoutes } from '#worker/api/audit/compliance.ts'
import { computeRoutes } from '#worker/api/compute/route.ts'
import { dryRunRoutes } from '#worker/api/policies/dry-run.ts'
import { jobRoutes } from '#worker/api/jobs/route.ts'
import { keyRoutes } from '#worker/api/keys/keys.ts'
import { metricsRoutes } from '#worker/api/network/metrics.ts'
import { networkRoutes } from '#worker/api/network/network.ts'
import { nodeRoutes } from '#worker/api/nodes/nodes.ts'
import { oipRoutes } from '#worker/api/oip/route.ts'
import { openaiRoutes } from '#worker/api/openai/openai.ts'
import { operatorRoutes } from '#worker/api/keys/operator.ts'
import { pageRoutes } from '#worker/api/pages/pages.ts'
import { policyRoutes } from '#worker/api/policies/policies.ts'
import { receiptRoutes } from '#worker/api/receipts/receipts.ts'
import { sessionRoutes } from '#worker/api/sessions/route.ts'

export function createApp(isolate: Isolate): Hono<AppEnv> {
  const app = new Hono<AppEnv>({ router: new FixedPaths() })
  app.use(requestScope(isolate))
  app.use(checkRequest)
  for (const routes of [
    sessionRoutes,
    oipRoutes,
    openaiRoutes,
    computeRoutes,
    jobRoutes,
    receiptRoutes,
    auditRoutes,
    complianceRoutes,
    networkRoutes,
    metricsRoutes,
    dryRunRoutes,
    policyRoutes,
    keyRoutes,
    operatorRoutes,
    nodeRoutes,
    pageRoutes,
  ]) {
    app.route('/', routes)
  }
  app.notFound((c) => answerProblem(missing(app, c), c))
  app.onError(answerProblem)
  return app
}

const METHODS = ['GET', 'POST', 'PUT', 'DELETE']

/** Names the methods that a path accepts (RFC 9110, 15.5.6). */
function missing(app: Hono<AppEnv>, c: AppContext): AppError {
  const { method, path } = c.req
  const allowed = METHODS.filter((other) =>
    app.router.match(other, path)[0].some(([[, route]]) => route.method === other),
  )
  if (allowed.length === 0) return new AppError('not_found', `There is no ${path}.`)
  const allow = allowed.flatMap((other) => (other === 'GET' ? ['GET', 'HEAD'] : [other])).join(', ')
  c.var.answerHeaders.set('allow', allow)
  return new AppError('method_not_allowed', `${path} takes ${allow}, not ${method}.`)
}
