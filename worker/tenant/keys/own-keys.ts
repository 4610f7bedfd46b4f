/**
 * Lets a tenant's admin keys change its keys. Rights are read from the store at that moment: a Worker's copy may be ten
 * seconds old, and a key revoked meanwhile must not create another.
 */
import { AppError } from '#shared/base/errors.ts'
import type { TenantDeps } from '#worker/tenant/log/database.ts'
import { hasScope, lacking, type KeyGrant } from '#worker/protocols/key-grant.ts'
import type { KeyStore } from './key-store.ts'
import {
  KeyRequest,
  type KeyInfo,
  type TenantOwnKeys,
  KEY_OVERLAP_MS,
} from '#worker/protocols/tenant.ts'

export function createOwnKeys(keys: KeyStore, { nowMs }: Pick<TenantDeps, 'nowMs'>): TenantOwnKeys {
  const isLive = ({ revokedAtMs, expiresAtMs }: KeyInfo) =>
    revokedAtMs === null && (expiresAtMs === null || expiresAtMs > nowMs())
  const maker = (id: string): KeyInfo => {
    const key = keys.get(id)
    if (!isLive(key) || !hasScope(key.scopes, 'admin')) {
      throw new AppError('forbidden', `Key ${id} may not change keys: it is not a live admin key.`)
    }
    return key
  }
  return {
    async create(by, request) {
      const terms = KeyRequest.parse(request)
      const check = () => requireCover(maker(by), terms)
      check()
      return await keys.create(terms, { id: by, check })
    },
    async rotate({ by, id }, overlapMs) {
      // The caller sees the new secret, and so gets the key's rights.
      const check = () => requireCover(maker(by), keys.get(id))
      check()
      const keptMs = Math.min(Math.max(0, overlapMs), KEY_OVERLAP_MS)
      return await keys.rotate(id, keptMs, { id: by, check })
    },
    revoke({ by, id }, lastAdmin) {
      maker(by)
      const key = keys.get(id)
      if (isLive(key) && !lastAdmin && isLastAdmin(key, keys.list().filter(isLive))) {
        throw new AppError(
          'invalid_request',
          `${id} is this tenant's last admin key: without it only the operator can make keys. Make another first, or add ?last_admin=true.`,
          {
            meta: {
              errors: [{ pointer: '/last_admin', detail: 'must be true to revoke this key' }],
            },
          },
        )
      }
      return keys.revoke(id, by)
    },
  }
}

function isLastAdmin({ id }: KeyInfo, live: readonly KeyInfo[]): boolean {
  const admins = live.filter((key) => hasScope(key.scopes, 'admin'))
  return admins.length === 1 && admins[0]?.id === id
}

/** Nobody may grant a right, or see a secret with a right, that they lack. @throws {AppError} forbidden */
function requireCover(by: KeyInfo, grant: KeyGrant): void {
  const missing = lacking(by, grant)
  if (missing.length === 0) return
  throw new AppError(
    'forbidden',
    `Key ${by.id} cannot give what it does not have: ${missing.join(', ')}. Use a key that has it, or ask the operator.`,
  )
}
