/** Authenticates callers: tenants' bearer keys with scopes, and the operator's secret. */
import { createMiddleware } from 'hono/factory'
import type { Scope } from '#shared/api/keys.ts'
import { AppError } from '#shared/base/errors.ts'
import type { TenantId } from '#shared/base/ids.ts'
import type { AppContext, AppEnv, Caller } from './context.ts'
import { equalSecret, equalText } from '#worker/platform/constant-time.ts'
import { openTenant } from '#worker/protocols/durable-objects.ts'
import { keepAlive } from './keep-alive.ts'
import { isFromLoopback } from '#worker/edge/place.ts'
import { hasScope } from '#worker/protocols/key-grant.ts'
import type { LiveKey } from '#worker/protocols/tenant.ts'

/** Requires a key with one of these scopes. */
export function requireScope(...scopes: readonly Scope[]) {
  return createMiddleware<AppEnv>(async (c, next) => {
    const caller = await readCaller(c)
    if (!scopes.some((scope) => hasScope(caller.scopes, scope))) {
      throw new AppError('forbidden', `This needs a key with scope ${scopes.join(' or ')}.`)
    }
    c.set('caller', caller)
    await next()
  })
}

/** Lets requests without a key through; a key that is sent must be valid. */
export const optionalKey = createMiddleware<AppEnv>(async (c, next) => {
  if (c.req.header('authorization') !== undefined) c.set('caller', await readCaller(c))
  await next()
})

export const requireOperator = createMiddleware<AppEnv>(async (c, next) => {
  const { operatorKey } = c.var.config
  if (operatorKey === undefined) {
    throw new AppError(
      'forbidden',
      'This deployment has no OPERATOR_KEY, so it has no operator API.',
    )
  }
  if (!(await equalSecret(bearerToken(c), operatorKey))) {
    throw new AppError('unauthenticated', 'This needs the operator key.')
  }
  await next()
})

/** Requires the operator's key, or a program on the operator's machine. */
export const requireOperatorOrLoopback = createMiddleware<AppEnv>(async (c, next) => {
  if (isFromLoopback(c.req.raw, c.var.config)) return await next()
  return await requireOperator(c, next)
})

/** Returns ADMISSION_SECRET. @param without the missing ability, for the error @throws {AppError} forbidden */
export function deploymentSecret(c: AppContext, without: string): string {
  const { admissionSecret } = c.var.config
  if (admissionSecret !== undefined) return admissionSecret
  const detail = `This deployment has no ADMISSION_SECRET, so it ${without}.`
  throw new AppError('forbidden', detail)
}

/** @throws {AppError} unauthenticated, with one text for every fault of a key */
async function readCaller(c: AppContext): Promise<Caller> {
  const sealed = bearerToken(c)
  const [config, isolate] = [c.get('config'), c.get('isolate')]
  const { admissionSecret } = config
  if (admissionSecret === undefined) throw unknownKey()
  const opened = await isolate.openedKeys.open(sealed, admissionSecret)
  if (opened === undefined) throw unknownKey()
  const { tenant, hash } = opened
  const snapshot = await isolate.tenants.get(
    tenant,
    () => openTenant(c.env, tenant, config).snapshot(),
    (work) => keepAlive(c, work),
  )
  const known = snapshot?.keys.find((candidate) => equalText(candidate.hash, hash))
  if (snapshot === null || known === undefined) throw unknownKey()
  if (hasEnded(known, isolate.nowMs())) throw unknownKey()
  const { id, scopes, networks } = known
  if (isolate.keyUses.note(id)) keepAlive(c, tellUse(c, tenant, id))
  return { tenant, keyId: id, scopes, networks, snapshot }
}

function unknownKey(): AppError {
  const detail =
    'The API key is unknown or was revoked. Keys look like lit_<tenant>_<48 hex digits>.'
  return new AppError('unauthenticated', detail)
}

/** Not awaited: a request does not depend on it. */
async function tellUse(c: AppContext, tenant: TenantId, keyId: string): Promise<void> {
  const { config, isolate } = c.var
  await openTenant(c.env, tenant, config).keys.noteUse(keyId, isolate.nowMs())
}

/** Compared with the clock, because the cached tenant may be older than a key's expiry or rotation. */
function hasEnded({ untilMs }: LiveKey, nowMs: number): boolean {
  return untilMs !== null && untilMs <= nowMs
}

/**
 * Browsers can set only this header on a WebSocket: `new WebSocket(url, ['littoral.session.v1',
 * 'littoral.key.<key>'])`.
 */
const KEY_PROTOCOL = /(?:^|[,\s])littoral\.key\.([!-+\--~]{1,256})/

function socketProtocols(c: AppContext): string {
  if (c.req.header('upgrade')?.toLowerCase() !== 'websocket') return ''
  return c.req.header('sec-websocket-protocol') ?? ''
}

function bearerToken(c: AppContext): string {
  const header = c.req.header('authorization')
  const match =
    /^Bearer +([!-~]{1,256})$/i.exec(header ?? '') ?? KEY_PROTOCOL.exec(socketProtocols(c))
  if (match?.[1] === undefined) {
    throw new AppError('unauthenticated', 'Send the API key as `Authorization: Bearer <key>`.')
  }
  return match[1]
}
