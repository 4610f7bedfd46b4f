/** What a key may do, and whether one key's rights hold another's. Pure. */
import type { Scope } from '#shared/api/keys.ts'

export interface KeyGrant {
  readonly scopes: readonly Scope[]
  /** Consortia of the nodes that it vouches for. */
  readonly networks: readonly string[]
  /** Null for a key that lives until it is revoked. */
  readonly expiresAtMs: number | null
}

/** Scopes that `admin` stands for. */
const ADMIN_MAY: readonly Scope[] = ['admin', 'policy', 'audit']

export function hasScope(granted: readonly Scope[], needed: Scope): boolean {
  return granted.includes(needed) || (granted.includes('admin') && ADMIN_MAY.includes(needed))
}

/** What of `wanted` this key does not have, in words; empty when it has all of it. */
export function lacking(has: KeyGrant, wanted: KeyGrant): string[] {
  return [
    ...wanted.scopes.filter((scope) => !hasScope(has.scopes, scope)).map((name) => `scope ${name}`),
    ...wanted.networks
      .filter((name) => !has.networks.includes(name))
      .map((name) => `network ${name}`),
    ...(outlives(wanted, has) ? ['a life beyond its own expiry'] : []),
  ]
}

function outlives(wanted: KeyGrant, has: KeyGrant): boolean {
  return (wanted.expiresAtMs ?? Infinity) > (has.expiresAtMs ?? Infinity)
}
