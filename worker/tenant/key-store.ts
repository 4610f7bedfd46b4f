/** A tenant's API keys: hashes with scopes. The secret itself is shown once and kept nowhere. */
import { AppError } from '#shared/errors.ts'
import { Bytes32, type TenantId } from '#shared/ids.ts'
import { LIMITS } from '#shared/limits.ts'
import { hashKey, newApiKey, newKeyId } from './api-key.ts'
import type { Row } from '../storage.ts'
import type { TenantDatabase, TenantDeps } from './database.ts'
import type { CreatedKey, KeyInfo, LiveKey, Scope } from './protocol.ts'

export interface KeyStore {
  create(tenant: TenantId, scopes: readonly Scope[]): Promise<CreatedKey>
  revoke(id: string): KeyInfo
  list(): KeyInfo[]
  live(): LiveKey[]
}

export function createKeyStore(database: TenantDatabase, deps: TenantDeps): KeyStore {
  const { rows, write } = database
  return {
    async create(tenant, scopes) {
      const key = newApiKey(tenant, deps.random)
      const hash = await hashKey(key)
      const [count] = rows('SELECT count(*) AS live FROM keys WHERE revoked_at_ms IS NULL')
      if (Number(count?.['live']) >= LIMITS.tenantKeys) {
        throw new AppError('too_large', `A tenant has at most ${LIMITS.tenantKeys} live keys.`)
      }
      const info = { id: newKeyId(tenant, deps.random), scopes, createdAtMs: deps.nowMs() }
      write('key.created', info.id, () =>
        rows(
          'INSERT INTO keys (id, hash, scopes, created_at_ms) VALUES (?, ?, ?, ?)',
          info.id,
          hash,
          JSON.stringify(scopes),
          info.createdAtMs,
        ),
      )
      return { ...info, revokedAtMs: null, key }
    },
    revoke(id) {
      const [row] = rows('SELECT * FROM keys WHERE id = ?', id)
      if (row === undefined) throw new AppError('not_found', `There is no key ${id}.`)
      if (row['revoked_at_ms'] !== null) return toKeyInfo(row)
      const revokedAtMs = deps.nowMs()
      write('key.revoked', id, () =>
        rows('UPDATE keys SET revoked_at_ms = ? WHERE id = ?', revokedAtMs, id),
      )
      return { ...toKeyInfo(row), revokedAtMs }
    },
    list: () => rows('SELECT * FROM keys ORDER BY created_at_ms, id').map(toKeyInfo),
    live: () =>
      rows('SELECT * FROM keys WHERE revoked_at_ms IS NULL').map((row) => ({
        id: String(row['id']),
        hash: Bytes32.parse(row['hash']),
        scopes: toKeyInfo(row).scopes,
      })),
  }
}

function toKeyInfo(row: Row): KeyInfo {
  const revokedAtMs = row['revoked_at_ms']
  return {
    id: String(row['id']),
    scopes: JSON.parse(String(row['scopes'])) as Scope[],
    createdAtMs: Number(row['created_at_ms']),
    revokedAtMs: revokedAtMs === null ? null : Number(revokedAtMs),
  }
}
