/** Lets a tenant's admin keys make, list, rotate and revoke keys. Any key may ask what it is itself. */
import { Hono } from 'hono'
import { SCOPES } from '#shared/api/keys.ts'
import { AppError } from '#shared/base/errors.ts'
import { callerOf, ownTenant, type AppContext, type AppEnv } from '#worker/gate/context.ts'
import { parseBody } from '#worker/body/faults.ts'
import { sealKey } from '#worker/platform/key-seal.ts'
import { deploymentSecret, requireScope } from '#worker/gate/auth.ts'
import { parseJson } from '#worker/body/parse-json.ts'
import { readBytes, readJson } from '#worker/gate/body.ts'
import { isAsked, takesQuery } from '#worker/http/known-names.ts'
import { keyIdTenant } from '#worker/protocols/api-key.ts'
import { KeyRequest, KeyRotation } from '#worker/protocols/tenant.ts'

const KEY_BODY_BYTES = 4 * 1024

export const keyRoutes = new Hono<AppEnv>()
  .post('/v1/keys', requireScope('admin'), createKey)
  .get('/v1/keys', requireScope('admin'), listKeys)
  .get('/v1/keys/self', requireScope(...SCOPES), showSelf)
  .post('/v1/keys/:id/rotate', requireScope('admin'), rotateKey)
  .delete('/v1/keys/:id', requireScope('admin'), takesQuery('last_admin'), revokeKey)

async function createKey(c: AppContext): Promise<Response> {
  const request = parseBody(KeyRequest, await readJson(c, KEY_BODY_BYTES))
  const { tenant, keyId } = callerOf(c)
  const secret = deploymentSecret(c, 'makes no keys')
  const created = await ownTenant(c).ownKeys.create(keyId, request)
  changed(c, 'key.created', created.id)
  return c.json({ tenant, ...created, key: await sealKey(created.key, secret) }, 201)
}

async function listKeys(c: AppContext): Promise<Response> {
  return c.json({ tenant: callerOf(c).tenant, keys: await ownTenant(c).keys.list() })
}

/** Describes the key that asks, for pages. */
function showSelf(c: AppContext): Response {
  const { tenant, keyId: id, scopes, networks, snapshot } = callerOf(c)
  // A replaced secret ends before its key does.
  const ends = snapshot.keys.flatMap((key) => (key.id === id ? [key.untilMs ?? Infinity] : []))
  const lastMs = Math.max(...ends)
  const expiresAtMs = Number.isFinite(lastMs) ? lastMs : null
  return c.json({ tenant, id, scopes, networks, expiresAtMs })
}

async function rotateKey(c: AppContext): Promise<Response> {
  const bytes = await readBytes(c, KEY_BODY_BYTES)
  const { overlapSeconds } = parseBody(KeyRotation, bytes.length === 0 ? {} : parseJson(bytes))
  const { tenant, keyId: by } = callerOf(c)
  const secret = deploymentSecret(c, 'makes no keys')
  const rotated = await ownTenant(c).ownKeys.rotate({ by, id: ownId(c) }, overlapSeconds * 1000)
  changed(c, 'key.rotated', rotated.id)
  return c.json({ tenant, ...rotated, key: await sealKey(rotated.key, secret) })
}

async function revokeKey(c: AppContext): Promise<Response> {
  const { keyId: by } = callerOf(c)
  const lastAdmin = isAsked(c, 'last_admin')
  const revoked = await ownTenant(c).ownKeys.revoke({ by, id: ownId(c) }, lastAdmin)
  changed(c, 'key.revoked', revoked.id)
  return c.json(revoked)
}

/** This isolate sees the change at once, the others within AUTH_CACHE_MS. */
function changed(c: AppContext, event: string, keyId: string): void {
  const { isolate, requestId } = c.var
  const caller = callerOf(c)
  isolate.tenants.forget(caller.tenant)
  c.var.log.info(event, { requestId, tenant: caller.tenant, keyId, by: caller.keyId })
}

/** @throws {AppError} not_found, also for another tenant's key */
function ownId(c: AppContext): string {
  const id = c.req.param('id') ?? ''
  if (keyIdTenant(id) === callerOf(c).tenant) return id
  throw new AppError('not_found', `There is no key ${id.slice(0, 64)}.`)
}
