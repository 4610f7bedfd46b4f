/** Digests of an Idempotency-Key and its request, and the seal that only the same request opens. */
import { bytesToHex } from 'viem'
import { invalidAt } from '#worker/body/faults.ts'
import type { IdempotentRequest } from '#worker/protocols/idempotency.ts'

export const IDEMPOTENCY_KEY_CHARS = 255

/** Headers that change a request's meaning. */
const FINGERPRINTED: readonly string[] = [
  'content-type',
  'inference-header-content-length',
  'x-littoral-policy',
  'x-littoral-residency',
]
const IV_BYTES = 12

export interface SealedRequest extends IdempotentRequest {
  /** Encrypts bytes for the tenant's storage. */
  seal(body: Uint8Array): Promise<Uint8Array<ArrayBuffer>>
  open(sealed: Uint8Array<ArrayBuffer>): Promise<Uint8Array<ArrayBuffer>>
}

/**
 * Removes the quotes of a structured-field string; both spellings are the same key. A repeated
 * header arrives joined by ", ", which no unquoted key contains.
 * @throws {AppError} invalid_request
 */
export function parseIdempotencyKey(header: string): string {
  const quoted = /^"((?:[^"\\]|\\["\\])*)"$/.exec(header)
  const key = quoted?.[1]?.replace(/\\(["\\])/g, '$1') ?? header
  const isOne = quoted !== null || !(header.startsWith('"') || header.includes(', '))
  const isPlain = /^[\x20-\x7e]+$/.test(key) && key.length <= IDEMPOTENCY_KEY_CHARS
  if (isOne && isPlain) return key
  throw invalidAt(
    '/headers/idempotency-key',
    `must be one key of 1 to ${IDEMPOTENCY_KEY_CHARS} printable ASCII characters`,
  )
}

/**
 * Digests a key and its request. The sealing key depends on both and neither is stored, so the
 * storage alone reveals no answer.
 */
export async function sealRequest(
  key: string,
  request: Pick<Request, 'method' | 'url' | 'headers'>,
  body: Uint8Array,
): Promise<SealedRequest> {
  const { pathname, search } = new URL(request.url)
  const head = JSON.stringify([
    request.method,
    pathname + search,
    FINGERPRINTED.map((name) => request.headers.get(name)),
    bytesToHex(await sha256(body)),
  ])
  const base = await crypto.subtle.importKey('raw', await sha256(encode(key)), HMAC, false, [
    'sign',
  ])
  const derive = async (use: string) =>
    new Uint8Array(await crypto.subtle.sign('HMAC', base, encode(`${use}\n${head}`)))
  const sealing = await crypto.subtle.importKey('raw', await derive('seal'), 'AES-GCM', false, [
    'encrypt',
    'decrypt',
  ])
  return {
    key: bytesToHex(await sha256(encode(`idempotency-key\n${key}`))),
    fingerprint: bytesToHex(await derive('fingerprint')),
    async seal(plain) {
      const iv = crypto.getRandomValues(new Uint8Array(IV_BYTES))
      const name = 'AES-GCM'
      const sealed = await crypto.subtle.encrypt({ name, iv }, sealing, new Uint8Array(plain))
      const bytes = new Uint8Array(IV_BYTES + sealed.byteLength)
      bytes.set(iv)
      bytes.set(new Uint8Array(sealed), IV_BYTES)
      return bytes
    },
    async open(sealed) {
      const iv = sealed.slice(0, IV_BYTES)
      const name = 'AES-GCM'
      const body = sealed.slice(IV_BYTES)
      return new Uint8Array(await crypto.subtle.decrypt({ name, iv }, sealing, body))
    },
  }
}

const HMAC = { name: 'HMAC', hash: 'SHA-256' } as const

async function sha256(bytes: Uint8Array): Promise<Uint8Array<ArrayBuffer>> {
  return new Uint8Array(await crypto.subtle.digest('SHA-256', new Uint8Array(bytes)))
}

function encode(text: string): Uint8Array<ArrayBuffer> {
  return new Uint8Array(new TextEncoder().encode(text))
}
