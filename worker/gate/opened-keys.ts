/** API keys whose mark was checked a moment ago, so that a busy key costs no cipher call for each request. */
import { BoundedMap } from '#shared/base/bounded-map.ts'
import type { Bytes32, TenantId } from '#shared/base/ids.ts'
import { unsealKey } from '#worker/platform/key-seal.ts'
import { hashKey, keyTenant } from '#worker/protocols/api-key.ts'

/** What a key with a right mark says. Whether the tenant still knows it is another question. */
export interface OpenedKey {
  readonly tenant: TenantId
  readonly hash: Bytes32
}

interface OpenedKeysOptions {
  /** Keys remembered; when full the oldest is forgotten. */
  readonly size: number
  /** Time after which a key is checked again. */
  readonly maxAgeMs: number
  readonly nowMs: () => number
}

export type OpenedKeys = ReturnType<typeof createOpenedKeys>

export function createOpenedKeys({ size, maxAgeMs, nowMs }: OpenedKeysOptions) {
  const opened = new BoundedMap<string, OpenedKey & { readonly atMs: number }>(size)
  return {
    /** @returns undefined for a key that this deployment has not sealed */
    async open(sealed: string, secret: string): Promise<OpenedKey | undefined> {
      const known = opened.get(sealed)
      if (known !== undefined && nowMs() - known.atMs < maxAgeMs) return known
      const key = await unsealKey(sealed, secret)
      const tenant = key === undefined ? undefined : keyTenant(key)
      if (key === undefined || tenant === undefined) return undefined
      const fresh = { tenant, hash: await hashKey(key), atMs: nowMs() }
      // Only keys with a right mark are remembered, so guesses evict nobody.
      opened.set(sealed, fresh)
      return fresh
    },
  }
}
