/** A tenant's API keys: hashes with scopes. The secret itself is shown once and kept nowhere. */
import { AppError } from '#shared/errors.ts'
import { Bytes32, type TenantId } from '#shared/ids.ts'
import { LIMITS } from '#shared/limits.ts'
import { hashKey, newApiKey, newKeyId } from './api-key.ts'
import type { KeyGrant } from './key-grant.ts'
import type { Row } from '../storage.ts'
import type { TenantDatabase, TenantDeps } from './database.ts'
import type { CreatedKey, KeyInfo, LiveKey, RotatedKey, Scope } from './protocol.ts'

export interface KeyStore {
  create(tenant: TenantId, grant: KeyGrant, by?: KeyMaker): Promise<CreatedKey>
  /** A new secret for the same key; the one before is taken for `overlapMs` more. */
  rotate(id: string, overlapMs: number, by?: KeyMaker): Promise<RotatedKey>
  /** @param by the key that did it, for the log; the operator where it is left out */
  revoke(id: string, by?: string): KeyInfo
  /** Of keys that live and of those that were revoked. @throws {AppError} not_found */
  get(id: string): KeyInfo
  list(): KeyInfo[]
  live(): LiveKey[]
}

/** Who makes a key or a secret; the operator where nobody is named. */
export interface KeyMaker {
  /** The key that does it, for the log. */
  readonly id: string
  /** Asked in the moment of writing: while the secret was hashed others may have been heard. @throws {AppError} */
  readonly check: () => void
}

/** Who changed a key when none of the tenant's own did. */
const OPERATOR = 'operator'
const OPERATOR_MAKER: KeyMaker = { id: OPERATOR, check: () => {} }

const ALL = 'SELECT keys.*, networks FROM keys LEFT JOIN key_networks USING (id)'
const LIVE = `${ALL} WHERE revoked_at_ms IS NULL`
/** Made when first needed: tenants that are older than these tables get them, too. */
const TABLES = [
  'CREATE TABLE IF NOT EXISTS key_networks (id TEXT PRIMARY KEY, networks TEXT NOT NULL)',
  'CREATE TABLE IF NOT EXISTS former_secrets (id TEXT PRIMARY KEY, hash TEXT NOT NULL, until_ms INTEGER NOT NULL)',
]

export function createKeyStore(database: TenantDatabase, deps: TenantDeps): KeyStore {
  const { write } = database
  const rows = openTables(database)
  const get = (id: string): KeyInfo => {
    const [row] = rows(`${ALL} WHERE id = ?`, id)
    if (row === undefined) throw new AppError('not_found', `There is no key ${id}.`)
    return toKeyInfo(row)
  }
  const forgetFormer = () => rows('DELETE FROM former_secrets WHERE until_ms <= ?', deps.nowMs())
  return {
    get,
    async create(tenant, { scopes, networks }, by = OPERATOR_MAKER) {
      const key = newApiKey(tenant, deps.random)
      const hash = await hashKey(key)
      by.check()
      if (rows(LIVE).length >= LIMITS.tenantKeys) {
        throw new AppError('too_large', `A tenant has at most ${LIMITS.tenantKeys} live keys.`)
      }
      const info = { id: newKeyId(tenant, deps.random), scopes, createdAtMs: deps.nowMs() }
      const keep = () => {
        rows(
          'INSERT INTO keys (id, hash, scopes, created_at_ms) VALUES (?, ?, ?, ?)',
          info.id,
          hash,
          JSON.stringify(scopes),
          info.createdAtMs,
        )
        if (networks.length === 0) return
        const query = 'INSERT INTO key_networks (id, networks) VALUES (?, ?)'
        rows(query, info.id, JSON.stringify(networks))
      }
      write('key.created', info.id, keep, { by: by.id })
      return { ...info, networks, revokedAtMs: null, key }
    },
    async rotate(id, overlapMs, by = OPERATOR_MAKER) {
      const info = get(id)
      const key = newApiKey(database.tenant(), deps.random)
      const hash = await hashKey(key)
      by.check()
      const [row] = rows(`${LIVE} AND id = ?`, id)
      if (row === undefined) throw new AppError('not_found', `Key ${id} was revoked.`)
      const untilMs = deps.nowMs() + overlapMs
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
    list: () => rows(`${ALL} ORDER BY created_at_ms, id`).map(toKeyInfo),
    live() {
      forgetFormer()
      const infos = new Map(rows(LIVE).map((row) => [String(row['id']), row]))
      const current = [...infos.values()].map((row) => toLive(toKeyInfo(row), row['hash'], null))
      const former = rows('SELECT * FROM former_secrets').flatMap((secret) => {
        const row = infos.get(String(secret['id']))
        const untilMs = Number(secret['until_ms'])
        return row === undefined ? [] : [toLive(toKeyInfo(row), secret['hash'], untilMs)]
      })
      return [...current, ...former]
    },
  }
}

function openTables(database: TenantDatabase): TenantDatabase['rows'] {
  let isOpen = false
  return (query, ...bindings) => {
    if (!isOpen) for (const table of TABLES) database.rows(table)
    isOpen = true
    return database.rows(query, ...bindings)
  }
}

function toLive({ id, scopes, networks }: KeyInfo, hash: unknown, untilMs: number | null): LiveKey {
  return { id, hash: Bytes32.parse(hash), scopes, networks, untilMs }
}

function toKeyInfo(row: Row): KeyInfo {
  const { revoked_at_ms: revokedAtMs } = row
  const networks = row['networks'] ?? '[]'
  return {
    id: String(row['id']),
    scopes: JSON.parse(String(row['scopes'])) as Scope[],
    networks: typeof networks === 'string' ? (JSON.parse(networks) as string[]) : [],
    createdAtMs: Number(row['created_at_ms']),
    revokedAtMs: revokedAtMs === null ? null : Number(revokedAtMs),
  }
}
