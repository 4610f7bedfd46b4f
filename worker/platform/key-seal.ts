/**
 * API keys carry a mark that only this deployment can make. Guessed keys are refused at once: they
 * open no Durable Object and evict nobody from the isolate's cache.
 */
import { toHex } from 'viem'
import { equalText } from './constant-time.ts'
import { macOf } from './mac.ts'

const SEALED = /^(lit_[a-z0-9][a-z0-9-]{0,31}_[0-9a-f]{32})([0-9a-f]{16})$/

/** `lit_<tenant>_<32 hex>` → `lit_<tenant>_<48 hex>`. A new secret invalidates all earlier keys. */
export async function sealKey(key: string, secret: string): Promise<string> {
  return `${key}${await markOf(key, secret)}`
}

/** The key without its mark; undefined for a wrong mark. */
export async function unsealKey(sealed: string, secret: string): Promise<string | undefined> {
  const [, key, mark] = SEALED.exec(sealed) ?? []
  if (key === undefined || mark === undefined) return undefined
  return equalText(mark, await markOf(key, secret)) ? key : undefined
}

async function markOf(key: string, secret: string): Promise<string> {
  return toHex(await macOf(`api-key:${key}`, secret)).slice(2, 18)
}
