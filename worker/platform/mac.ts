/** HMAC-SHA256 of a text with the deployment's secret. */
import { memoize } from '#shared/base/memoize.ts'

const encoder = new TextEncoder()
const ALGORITHM = { name: 'HMAC', hash: 'SHA-256' }
/** A deployment has one secret. */
const SECRETS_KEPT = 4

const keyOf = memoize(
  (secret) => crypto.subtle.importKey('raw', encoder.encode(secret), ALGORITHM, false, ['sign']),
  SECRETS_KEPT,
)

export async function macOf(text: string, secret: string): Promise<Uint8Array> {
  const mac = await crypto.subtle.sign('HMAC', await keyOf(secret), encoder.encode(text))
  return new Uint8Array(mac)
}
