/** API keys: `lit_<tenant>_<32 hex>`, sealed by `key-seal.ts` when shown. The key names its tenant, so that it alone leads to the Durable Object. */
import { toHex } from 'viem'
import { TenantId, type Bytes32, type RandomBytes } from '#shared/base/ids.ts'
import { digestBytes } from '#shared/receipt/receipt.ts'

const KEY = /^lit_([a-z0-9][a-z0-9-]{0,31})_[0-9a-f]{32}$/
const KEY_ID = /^key_([a-z0-9][a-z0-9-]{0,31})_[0-9a-f]{12}$/

export function newApiKey(tenant: TenantId, random: RandomBytes): string {
  return `lit_${tenant}_${toHex(random(16)).slice(2)}`
}

export function newKeyId(tenant: TenantId, random: RandomBytes): string {
  return `key_${tenant}_${toHex(random(6)).slice(2)}`
}

/** The tenant named in a key, valid or not; undefined for text that is no key. */
export function keyTenant(key: string): TenantId | undefined {
  const match = KEY.exec(key)
  return match === null ? undefined : TenantId.parse(match[1])
}

export function keyIdTenant(id: string): TenantId | undefined {
  const match = KEY_ID.exec(id)
  return match === null ? undefined : TenantId.parse(match[1])
}

/** 128 random bits need no slow hash. */
export function hashKey(key: string): Promise<Bytes32> {
  return digestBytes(new TextEncoder().encode(key))
}
