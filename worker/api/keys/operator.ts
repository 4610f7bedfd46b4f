/** The operator's API behind OPERATOR_KEY: tenants' keys and quotas, and attestations. */
import { Hono } from 'hono'
import { AppError } from '#shared/base/errors.ts'
import { isAttestedBy, SignedAttestation } from '#shared/place/evidence.ts'
import { NodeId, TenantId } from '#shared/base/ids.ts'
import type { AppContext, AppEnv } from '#worker/gate/context.ts'
import { deploymentOf, everyHub } from '#worker/dispatch/hubs.ts'
import { hubName } from '#worker/summary/hub-region.ts'
import { openHub, openTenant } from '#worker/protocols/durable-objects.ts'
import { invalidAt, parseBody } from '#worker/body/faults.ts'
import { sealKey } from '#worker/platform/key-seal.ts'
import { deploymentSecret, requireOperator } from '#worker/gate/auth.ts'
import { readJson } from '#worker/gate/body.ts'
import { takesQuery } from '#worker/http/known-names.ts'
import { keyIdTenant } from '#worker/protocols/api-key.ts'
import { NewKey } from '#worker/protocols/tenant.ts'
import { QuotaChange } from '#worker/protocols/quota.ts'

/** Longest lifetime of an operator's attestation of a place. */
const ATTESTATION_MS = 400 * 86_400_000

const KEY_BODY_BYTES = 4 * 1024

export const operatorRoutes = new Hono<AppEnv>()
  .post('/v1/operator/keys', requireOperator, createKey)
  .get('/v1/operator/keys', requireOperator, takesQuery('tenant'), listKeys)
  .delete('/v1/operator/keys/:id', requireOperator, revokeKey)
  .post('/v1/operator/attestations', requireOperator, attest)
  .get('/v1/operator/attestations', requireOperator, listAttestations)
  .delete('/v1/operator/attestations/:node', requireOperator, unattest)
  .get('/v1/operator/quotas/:tenant', requireOperator, showQuota)
  .put('/v1/operator/quotas/:tenant', requireOperator, setQuota)

async function createKey(c: AppContext): Promise<Response> {
  const request = parseBody(NewKey, await readJson(c, KEY_BODY_BYTES))
  const { tenant } = request
  const { config, isolate, requestId } = c.var
  const secret = deploymentSecret(c, 'makes no keys')
  const created = await openTenant(c.env, tenant, config).keys.create(request)
  const key = await sealKey(created.key, secret)
  isolate.tenants.forget(tenant)
  c.var.log.info('key.created', { requestId, tenant, keyId: created.id })
  return c.json({ tenant, ...created, key }, 201)
}

async function listKeys(c: AppContext): Promise<Response> {
  const tenant = TenantId.safeParse(c.req.query('tenant'))
  if (!tenant.success) {
    throw invalidAt('/tenant', 'name the tenant: ?tenant=acme')
  }
  const keys = await openTenant(c.env, tenant.data, c.var.config).keys.list()
  return c.json({ tenant: tenant.data, keys })
}

async function revokeKey(c: AppContext): Promise<Response> {
  const id = c.req.param('id') ?? ''
  const tenant = keyIdTenant(id)
  if (tenant === undefined) throw new AppError('not_found', `There is no key ${id}.`)
  const { config, isolate, requestId } = c.var
  const revoked = await openTenant(c.env, tenant, config).keys.revoke(id)
  isolate.tenants.forget(tenant)
  c.var.log.info('key.revoked', { requestId, tenant, keyId: id })
  return c.json(revoked)
}

/**
 * Every hub keeps the attestation, because the node may connect to any. The Worker has no attester
 * key; it only verifies.
 */
async function attest(c: AppContext): Promise<Response> {
  const { config, isolate, requestId } = c.var
  const attestation = parseBody(SignedAttestation, await readJson(c, KEY_BODY_BYTES))
  const { nodeId, country, issuedAtMs, expiresAtMs } = attestation.statement
  if (!(await isAttestedBy(attestation, config.attesters ?? [])))
    throw new AppError(
      'forbidden',
      'The statement is not signed by an attester of this deployment (ATTESTERS).',
    )
  const leftMs = expiresAtMs - isolate.nowMs()
  if (leftMs <= 0 || leftMs > ATTESTATION_MS || expiresAtMs <= issuedAtMs) {
    const detail = `ends between now and ${ATTESTATION_MS / 86_400_000} days from now, after it was issued`
    throw invalidAt('/statement/expiresAtMs', detail)
  }
  const hubs = await everyHub(deploymentOf(c))
  await Promise.all(hubs.map((hub) => openHub(c.env, hub, config).attest(attestation)))
  c.var.log.info('node.attested', { requestId, nodeId, country, expiresAtMs })
  return c.json(attestation, 201)
}

async function listAttestations(c: AppContext): Promise<Response> {
  const { config } = c.var
  const [region] = config.regions
  if (region === undefined) throw new AppError('internal', 'No region of hubs is configured.')
  const hub = hubName(region, 0)
  return c.json({ attestations: await openHub(c.env, hub, config).attestations() })
}

/** Withdraws an attestation. The node then keeps only the evidence that it can show itself. */
async function unattest(c: AppContext): Promise<Response> {
  const nodeId = NodeId.safeParse(c.req.param('node'))
  if (!nodeId.success) throw new AppError('not_found', 'There is no such node.')
  const { config, requestId } = c.var
  const hubs = await everyHub(deploymentOf(c))
  const had = await Promise.all(
    hubs.map((hub) => openHub(c.env, hub, config).unattest(nodeId.data)),
  )
  if (!had.includes(true)) throw new AppError('not_found', `Nobody attested ${nodeId.data}.`)
  c.var.log.info('node.unattested', { requestId, nodeId: nodeId.data })
  return c.json({ nodeId: nodeId.data, attested: false })
}

async function showQuota(c: AppContext): Promise<Response> {
  const tenant = readTenant(c)
  return c.json({ tenant, ...(await openTenant(c.env, tenant, c.var.config).quota.state()) })
}

/** Takes effect everywhere within a minute; until then isolates use the leases that they hold. */
async function setQuota(c: AppContext): Promise<Response> {
  const tenant = readTenant(c)
  const change = parseBody(QuotaChange, await readJson(c, KEY_BODY_BYTES))
  const { config, requestId } = c.var
  const state = await openTenant(c.env, tenant, config).quota.set(change)
  c.var.log.info('quota.set', {
    requestId,
    tenant,
    requestsPerMinute: state.requestsPerMinute,
    spendMicroUsdPerDay: String(state.spendMicroUsdPerDay),
  })
  return c.json({ tenant, ...state })
}

/** @throws {AppError} not_found for an invalid name */
function readTenant(c: AppContext): TenantId {
  const tenant = TenantId.safeParse(c.req.param('tenant'))
  if (tenant.success) return tenant.data
  throw new AppError('not_found', 'There is no such tenant.')
}
