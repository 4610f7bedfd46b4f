/** `GET /v1/sessions`: a WebSocket whose steps run in order on one near node. The node's hub holds the session. */
import { Hono } from 'hono'
import { AppError } from '#shared/base/errors.ts'
import { callerOf, type AppContext, type AppEnv } from '#worker/gate/context.ts'
import { deploymentOf, hubsForJob, requireHubs } from '#worker/dispatch/hubs.ts'
import { chooseHubs } from '#worker/summary/choose-hub.ts'
import { openHub } from '#worker/protocols/durable-objects.ts'
import { SESSION_HEADER, type SessionGrant } from '#worker/protocols/hub.ts'
import { readRefusal } from '#worker/protocols/steering.ts'
import { auditRefusals } from '#worker/gate/audit-refusals.ts'
import { requireScope } from '#worker/gate/auth.ts'
import { takesQuery } from '#worker/http/known-names.ts'
import { takeQuota } from '#worker/gate/quota.ts'
import { checkIngress, chooseResidency } from '#worker/gate/residency.ts'
import { observeIngress } from '#worker/edge/place.ts'
import { readResidencyQuery } from '#worker/body/residency.ts'

/** The WebSocket subprotocol that the hub answers with. */
const SESSION_PROTOCOL = 'littoral.session.v1'

export const sessionRoutes = new Hono<AppEnv>().get(
  '/v1/sessions',
  requireScope('infer'),
  auditRefusals,
  takesQuery('policy', 'residency'),
  open,
)

async function open(c: AppContext): Promise<Response> {
  await checkIngress(c)
  await takeQuota(c)
  if (c.req.header('upgrade')?.toLowerCase() !== 'websocket')
    throw new AppError('invalid_request', 'Sessions are a WebSocket: send `Upgrade: websocket`.')
  const { config, requestId, traceparent } = c.var
  const caller = callerOf(c)
  const { policy, allowed } = await chooseResidency(c, readResidencyQuery(c.req.query()))
  const grant: SessionGrant = {
    requestId,
    tenant: caller.tenant,
    keyId: caller.keyId,
    consumer: caller.snapshot.consumer,
    policy,
    allowed,
    ingress: (await observeIngress(c.req.raw, config)).country,
    traceparent,
  }
  requireHubs(policy, config)
  const table = await hubsForJob(deploymentOf(c))
  let refusal: AppError | undefined
  for (const { hub } of chooseHubs(
    table,
    { policy, allowed, work: null },
    { random: Math.random },
  )) {
    const offered = c.req.header('sec-websocket-protocol')?.includes(SESSION_PROTOCOL) === true
    const response = await openHub(c.env, hub, config).fetch(
      new Request(`http://hub/session`, {
        headers: {
          upgrade: 'websocket',
          [SESSION_HEADER]: JSON.stringify(grant),
          ...(offered ? { 'sec-websocket-protocol': SESSION_PROTOCOL } : {}),
        },
      }),
    )
    if (response.status === 101) return response
    refusal = readRefusal(await response.json())
  }
  throw refusal ?? new AppError('no_capacity', 'No hub answered.')
}
