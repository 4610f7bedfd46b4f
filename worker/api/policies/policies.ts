/** Lets a tenant read policies, publish versions, retire policies, and choose the default. */
import { Hono } from 'hono'
import { z } from 'zod'
import { AppError } from '#shared/base/errors.ts'
import { KIB } from '#shared/base/limits.ts'
import { PolicyDraft, PolicyId, type Policy } from '#shared/law/policy.ts'
import { assumptions, completePolicy } from '#shared/law/policy-draft.ts'
import { groupNotes } from '#shared/law/region-notes.ts'
import { policyFaults } from '#shared/law/policy-faults.ts'
import { describePlaces } from '#shared/law/country-words.ts'
import { listCountries } from '#shared/law/region.ts'
import { callerOf, ownTenant, type AppContext, type AppEnv } from '#worker/gate/context.ts'
import { canStore, homeOf, tenantJurisdiction } from '#worker/protocols/durable-objects.ts'
import { eligibleRegions } from '#worker/dispatch/hubs.ts'
import { invalidRequest, parseBody } from '#worker/body/faults.ts'
import { requireScope } from '#worker/gate/auth.ts'
import { readJson } from '#worker/gate/body.ts'
import type { PublishedPolicy } from '#worker/protocols/tenant.ts'

export const POLICY_BODY_BYTES = 64 * KIB

const READERS = ['infer', 'policy', 'audit'] as const

export const policyRoutes = new Hono<AppEnv>()
  .get('/v1/policies', requireScope(...READERS), listPolicies)
  .get('/v1/policies/:id', requireScope(...READERS), showNewest)
  .get('/v1/policies/:id/versions', requireScope(...READERS), listVersions)
  .get('/v1/policies/:id/versions/:version', requireScope(...READERS), showVersion)
  .put('/v1/policies/:id', requireScope('policy'), publishPolicy)
  .post('/v1/policies/:id/default', requireScope('policy'), makeDefault)
  .post('/v1/policies/:id/retire', requireScope('policy'), retirePolicy)

async function listPolicies(c: AppContext): Promise<Response> {
  const all = await ownTenant(c).policies.all()
  const policies = all.filter(({ retiredAtMs }) => retiredAtMs === null).map(showPolicy)
  const retired = all.filter(({ retiredAtMs }) => retiredAtMs !== null).map(showPolicy)
  return c.json({ default: callerOf(c).snapshot.defaultPolicyId, policies, retired })
}

async function showNewest(c: AppContext): Promise<Response> {
  const [newest] = await versionsOf(c, readId(c))
  return c.json(showPolicy(newest))
}

async function listVersions(c: AppContext): Promise<Response> {
  const id = readId(c)
  return c.json({ id, versions: (await versionsOf(c, id)).map(showPolicy) })
}

async function showVersion(c: AppContext): Promise<Response> {
  const id = readId(c)
  const version = Number(c.req.param('version'))
  return c.json(showPolicy(await findVersion(c, id, version)))
}

/** The path has the id; the body may repeat it. */
async function publishPolicy(c: AppContext): Promise<Response> {
  const id = readId(c)
  const body = parseBody(
    z.looseObject({ id: z.literal(id).default(id) }),
    await readJson(c, POLICY_BODY_BYTES),
  )
  const policy = parsePolicy(c, body)
  const published = await ownTenant(c).policies.publish(policy, callerOf(c).keyId)
  c.var.isolate.tenants.forget(callerOf(c).tenant)
  return c.json({
    ...showPolicy(published),
    assumed: assumptions(body, policy),
    notes: groupNotes(policy),
  })
}

/** Retires a policy. Its versions and receipts stay valid and readable. */
async function retirePolicy(c: AppContext): Promise<Response> {
  const retired = await ownTenant(c).policies.retire(readId(c), callerOf(c).keyId)
  c.var.isolate.tenants.forget(callerOf(c).tenant)
  return c.json(showPolicy(retired))
}

async function makeDefault(c: AppContext): Promise<Response> {
  const id = readId(c)
  await ownTenant(c).policies.setDefault(id, callerOf(c).keyId)
  c.var.isolate.tenants.forget(callerOf(c).tenant)
  return c.json({ default: id })
}

/** Finds a published version of the caller's tenant. @throws {AppError} not_found */
export async function findVersion(
  c: AppContext,
  id: string,
  version: number,
): Promise<PublishedPolicy> {
  const isNumber = Number.isSafeInteger(version) && version > 0
  const found = isNumber ? await ownTenant(c).policies.version(id, version) : null
  if (found !== null) return found
  throw new AppError('not_found', `There is no version ${version} of a policy "${id}".`)
}

/**
 * Parses a policy that could be published here.
 * @param base prefix of each pointer
 * @throws {AppError} invalid_request with all faults
 */
export function parsePolicy(c: AppContext, body: unknown, base = ''): Policy {
  const home = homeOf(tenantJurisdiction(callerOf(c).tenant), c.var.config)
  const policy = completePolicy(parseBody(PolicyDraft, body, base), home)
  const faults = [...policyFaults(policy), ...storageFaults(c, policy)]
  if (faults.length === 0) return policy
  throw invalidRequest(faults.map((fault) => ({ ...fault, pointer: `${base}${fault.pointer}` })))
}

async function versionsOf(
  c: AppContext,
  id: string,
): Promise<[PublishedPolicy, ...PublishedPolicy[]]> {
  const [newest, ...older] = await ownTenant(c).policies.versions(id)
  if (newest === undefined) throw new AppError('not_found', `There is no policy "${id}".`)
  return [newest, ...older]
}

/** Refuses a storage pin now that the tenant or every hub could not honour later. */
function storageFaults(c: AppContext, { storage }: Policy) {
  const { config } = c.var
  const caller = callerOf(c)
  const home = tenantJurisdiction(caller.tenant)
  const pointer = '/storage'
  if (!canStore(storage, home, config)) {
    const detail =
      `this tenant's records are kept in "${homeOf(home, config)}", which is not "${storage}"; ` +
      `on Cloudflare a tenant named "${storage}--…" is kept there`
    return [{ pointer, detail }]
  }
  if (eligibleRegions({ storage }, config).length > 0) return []
  return [{ pointer, detail: `no hub here keeps records in "${storage}"; set it to "any"` }]
}

function showPolicy({ policy, compiled, publishedAtMs, retiredAtMs }: PublishedPolicy) {
  const { version, hash } = compiled
  return {
    policy,
    version,
    hash,
    publishedAtMs,
    retiredAtMs,
    computeIn: describePlaces(policy.compute),
    computeCountries: listCountries(compiled.compute),
  }
}

function readId(c: AppContext): string {
  const id = PolicyId.safeParse(c.req.param('id'))
  if (id.success) return id.data
  // No pointer, because pointers refer to the body.
  const [fault] = id.error.issues
  throw new AppError('invalid_request', `The path names no policy: ${fault?.message}.`)
}
