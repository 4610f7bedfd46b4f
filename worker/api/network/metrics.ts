/** `GET /metrics` for Prometheus, for the operator's key or from this machine. */
import { Hono } from 'hono'
import type { AppContext, AppEnv } from '#worker/gate/context.ts'
import { deploymentOf, hubsToday, knownHubs } from '#worker/dispatch/hubs.ts'
import { openHub } from '#worker/protocols/durable-objects.ts'
import type { HubGauges } from '#worker/protocols/hub.ts'
import { exposeFamilies, EXPOSITION_TYPE } from '#worker/metrics/exposition.ts'
import { stateFamilies } from './state-metrics.ts'
import { requireOperatorOrLoopback } from '#worker/gate/auth.ts'
import { readinessOf, readState } from './readiness.ts'

export const metricsRoutes = new Hono<AppEnv>().get(
  '/metrics',
  requireOperatorOrLoopback,
  answerMetrics,
)

async function answerMetrics(c: AppContext): Promise<Response> {
  const { config, isolate } = c.var
  const [state, gauges] = await Promise.all([readState(c), readGauges(c)])
  const families = [
    ...isolate.metrics.families(),
    ...stateFamilies(state, readinessOf(state, config), gauges),
  ]
  return c.body(exposeFamilies(families), 200, { 'content-type': EXPOSITION_TYPE })
}

/** Gauges of each hub that answers. */
async function readGauges(c: AppContext): Promise<Map<string, HubGauges>> {
  const { config } = c.var
  const hubs = knownHubs(await hubsToday(deploymentOf(c)))
  const answers = await Promise.allSettled(
    hubs.map(async (hub) => [hub.name, await openHub(c.env, hub, config).gauges()] as const),
  )
  return new Map(answers.flatMap((answer) => (answer.status === 'fulfilled' ? [answer.value] : [])))
}
