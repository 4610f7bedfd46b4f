/** A tenant's policies: read, publish the next version, choose the default. */
import { Hono } from 'hono'
import { z } from 'zod'
import { Policy, PolicyId } from '#shared/policy.ts'
import { listCountries } from '#shared/region.ts'
import type { AppContext, AppEnv } from '../context.ts'
import { canStore, openTenant, homeOf, tenantJurisdiction } from '../durable-objects.ts'
import { eligibleHubs } from '../dispatch.ts'
import { invalidRequest, parseBody } from '../formats/faults.ts'
import { requireScope } from '../middleware/auth.ts'
import { readJson } from '../middleware/body.ts'
import type { PublishedPolicy } from '../tenant/protocol.ts'

const POLICY_BODY_BYTES = 64 * 1024

export const policyRoutes = new Hono<AppEnv>()
  .get('/v1/policies', requireScope('infer', 'policy', 'audit'), listPolicies)
  .put('/v1/policies/:id', requireScope('policy'), publishPolicy)
  .post('/v1/policies/:id/default', requireScope('policy'), makeDefault)

function listPolicies(c: AppContext): Response {
  const { policies, defaultPolicyId } = c.var.caller.snapshot
  return c.json({ default: defaultPolicyId, policies: policies.map(showPolicy) })
}

/** The id stands in the path; the body may repeat it. */
async function publishPolicy(c: AppContext): Promise<Response> {
  const id = readId(c)
  const body = parseBody(
    z.looseObject({ id: z.literal(id).default(id) }),
    await readJson(c.req.raw, POLICY_BODY_BYTES),
  )
  const policy = parseBody(Policy, body)
  checkStorage(c, policy)
  const published = await openOwn(c).publishPolicy(policy)
  c.var.isolate.tenants.forget(c.var.caller.tenant)
  return c.json(showPolicy(published))
}

async function makeDefault(c: AppContext): Promise<Response> {
  const id = readId(c)
  await openOwn(c).setDefaultPolicy(id)
  c.var.isolate.tenants.forget(c.var.caller.tenant)
  return c.json({ default: id })
}

/** A pin that this tenant's records or every hub's could not keep is refused now, not at the first job. */
function checkStorage(c: AppContext, { storage }: Policy): void {
  const { config, caller } = c.var
  const home = tenantJurisdiction(caller.tenant)
  if (!canStore(storage, home, config)) {
    throw invalidRequest([
      {
        pointer: '/storage',
        detail:
          `this tenant's records are kept in "${homeOf(home, config)}", which is not "${storage}"; ` +
          `on Cloudflare a tenant named "${storage}--…" is kept there`,
      },
    ])
  }
  if (eligibleHubs({ storage }, config).length > 0) return
  throw invalidRequest([
    { pointer: '/storage', detail: `no hub here keeps records in "${storage}"` },
  ])
}

function showPolicy({ policy, compiled }: PublishedPolicy) {
  const { version, hash } = compiled
  return { policy, version, hash, computeCountries: listCountries(compiled.compute) }
}

function openOwn(c: AppContext) {
  return openTenant(c.env, c.var.caller.tenant, c.var.config)
}

function readId(c: AppContext): string {
  return parseBody(z.strictObject({ id: PolicyId }), { id: c.req.param('id') }).id
}
