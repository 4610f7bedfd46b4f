/** A tenant's API keys, kept as hashes with scopes. The secret itself is shown once and kept nowhere. */
import type { Scope } from '#shared/api/keys.ts'
import { AppError } from '#shared/base/errors.ts'
import { Bytes32 } from '#shared/base/ids.ts'
import { hashKey, newApiKey, newKeyId } from '#worker/protocols/api-key.ts'
import type { Row } from '#worker/platform/storage.ts'
import type { TenantDatabase, TenantDeps } from '#worker/tenant/log/database.ts'
import type {
  CreatedKey,
  KeyInfo,
  KeyTerms,
  LiveKey,
  RotatedKey,
  TenantKeys,
} from '#worker/protocols/tenant.ts'

export const TENANT_KEYS = 100

/** In each method `by` defaults to the operator. */
export interface KeyStore extends Pick<TenantKeys, 'list' | 'noteUse'> {
  /** @throws {AppError} invalid_request for an expiry that has passed, too_large over the limit of keys */
  create(terms: KeyTerms, by?: KeyMaker): Promise<CreatedKey>
  /** Makes a new secret for the same key; the former one stays valid for `overlapMs`. */
  rotate(id: string, overlapMs: number, by: KeyMaker): Promise<RotatedKey>
  revoke(id: string, by?: string): KeyInfo
  /** A live or ended key. @throws {AppError} not_found */
  get(id: string): KeyInfo
  live(): LiveKey[]
}

export interface KeyMaker {
  /** The key that asks, for the log. */
  readonly id: string
  /** Called just before the write, because other requests may have run while the secret was hashed. @throws {AppError} */
  readonly check: () => void
}

const OPERATOR = 'operator'
const OPERATOR_MAKER: KeyMaker = { id: OPERATOR, check: () => {} }

const LIVE =
  'SELECT * FROM keys WHERE revoked_at_ms IS NULL AND (expires_at_ms IS NULL OR expires_at_ms > ?)'

export function createKeyStore(database: TenantDatabase, deps: TenantDeps): KeyStore {
  const { rows, write } = database
  const get = (id: string): KeyInfo => {
    const [row] = rows('SELECT * FROM keys WHERE id = ?', id)
    if (row === undefined) throw new AppError('not_found', `There is no key ${id}.`)
    return toKeyInfo(row)
  }
  return {
    get,
    async create(terms, by = OPERATOR_MAKER) {
      requireFuture(terms, deps.nowMs())
      const tenant = database.tenant()
      const key = newApiKey(tenant, deps.random)
      const hash = await hashKey(key)
      by.check()
      const nowMs = deps.nowMs()
      if (rows(LIVE, nowMs).length >= TENANT_KEYS) {
        throw new AppError('too_large', `A tenant has at most ${TENANT_KEYS} live keys.`)
      }
      const id = newKeyId(tenant, deps.random)
      const info = { id, ...terms, createdAtMs: nowMs, revokedAtMs: null, lastUsedAtMs: null }
      write('key.created', id, () => insert(database, info, hash), { by: by.id })
      return { ...info, key }
    },
    async rotate(id, overlapMs, by) {
      const info = get(id)
      const key = newApiKey(database.tenant(), deps.random)
      const hash = await hashKey(key)
      by.check()
      const [row] = rows(`${LIVE} AND id = ?`, deps.nowMs(), id)
      if (row === undefined) {
        throw new AppError('not_found', `Key ${id} was revoked, or has expired.`)
      }
      const untilMs = Math.min(deps.nowMs() + overlapMs, info.expiresAtMs ?? Infinity)
      const change = () => {
        rows('DELETE FROM former_secrets WHERE id = ?', id)
        if (overlapMs > 0) {
          const query = 'INSERT INTO former_secrets (id, hash, until_ms) VALUES (?, ?, ?)'
          rows(query, id, String(row['hash']), untilMs)
        }
        rows('UPDATE keys SET hash = ? WHERE id = ?', hash, id)
      }
      write('key.rotated', id, change, { by: by.id })
      return { ...info, key, formerUntilMs: overlapMs > 0 ? untilMs : null }
    },
    revoke(id, by = OPERATOR) {
      const info = get(id)
      if (info.revokedAtMs !== null) return info
      const revokedAtMs = deps.nowMs()
      const change = () => {
        rows('DELETE FROM former_secrets WHERE id = ?', id)
        rows('UPDATE keys SET revoked_at_ms = ? WHERE id = ?', revokedAtMs, id)
      }
      write('key.revoked', id, change, { by })
      return { ...info, revokedAtMs }
    },
    list: () =>
      database.exists() ? rows('SELECT * FROM keys ORDER BY created_at_ms, id').map(toKeyInfo) : [],
    live: () => readLive(database, deps.nowMs()),
    noteUse(id, atMs) {
      if (!database.exists()) return
      const query =
        'UPDATE keys SET last_used_at_ms = max(coalesce(last_used_at_ms, 0), ?) WHERE id = ?'
      rows(query, Math.min(atMs, deps.nowMs()), id)
    },
  }
}

/** @throws {AppError} invalid_request */
function requireFuture({ expiresAtMs }: KeyTerms, nowMs: number): void {
  if (expiresAtMs === null || expiresAtMs > nowMs) return
  const detail = `is ${new Date(expiresAtMs).toISOString()}, which has passed; name a later time in milliseconds since 1970`
  throw new AppError('invalid_request', `The expiry ${detail}.`, {
    meta: { errors: [{ pointer: '/expiresAtMs', detail }] },
  })
}

function insert(
  { rows }: TenantDatabase,
  { id, name, scopes, networks, createdAtMs, expiresAtMs }: KeyInfo,
  hash: Bytes32,
): void {
  rows(
    'INSERT INTO keys (id, hash, scopes, name, networks, created_at_ms, expires_at_ms) VALUES (?, ?, ?, ?, ?, ?, ?)',
    id,
    hash,
    JSON.stringify(scopes),
    name,
    JSON.stringify(networks),
    createdAtMs,
    expiresAtMs,
  )
}

/** Every secret that is valid now: each key's present one, and its former one while they overlap. */
function readLive({ rows }: TenantDatabase, nowMs: number): LiveKey[] {
  rows('DELETE FROM former_secrets WHERE until_ms <= ?', nowMs)
  const keys = new Map(rows(LIVE, nowMs).map((row) => [String(row['id']), row]))
  const current = [...keys.values()].map((row) => {
    const info = toKeyInfo(row)
    return toLive(info, row['hash'], info.expiresAtMs)
  })
  const former = rows('SELECT * FROM former_secrets').flatMap((secret) => {
    const row = keys.get(String(secret['id']))
    const untilMs = Number(secret['until_ms'])
    return row === undefined ? [] : [toLive(toKeyInfo(row), secret['hash'], untilMs)]
  })
  return [...current, ...former]
}

function toLive({ id, scopes, networks }: KeyInfo, hash: unknown, untilMs: number | null): LiveKey {
  return { id, hash: Bytes32.parse(hash), scopes, networks, untilMs }
}

function toKeyInfo(row: Row): KeyInfo {
  const optional = (name: string) => (row[name] === null ? null : Number(row[name]))
  return {
    id: String(row['id']),
    name: String(row['name']),
    scopes: JSON.parse(String(row['scopes'])) as Scope[],
    networks: JSON.parse(String(row['networks'])) as string[],
    createdAtMs: Number(row['created_at_ms']),
    expiresAtMs: optional('expires_at_ms'),
    revokedAtMs: optional('revoked_at_ms'),
    lastUsedAtMs: optional('last_used_at_ms'),
  }
}
