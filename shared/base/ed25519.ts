/** Checks Ed25519 signatures with WebCrypto: those of nodes and of logs. */
import { hexToBytes, type Hex } from 'viem'
import { memoize } from './memoize.ts'

export const ED25519 = { name: 'Ed25519' } as const

/** Tells whether `publicKey`, 32 bytes, signed the message. Returns false for malformed arguments; never throws. */
export async function isEd25519Signed(
  publicKey: Hex,
  message: Uint8Array,
  signature: Uint8Array,
): Promise<boolean> {
  try {
    const key = await importKey(publicKey)
    return await crypto.subtle.verify(ED25519, key, copy(signature), copy(message))
  } catch {
    return false
  }
}

const importKey = memoize(
  (publicKey) =>
    crypto.subtle.importKey('raw', copy(hexToBytes(publicKey as Hex)), ED25519, false, ['verify']),
  256,
)

/** WebCrypto's types exclude shared memory. */
function copy(bytes: Uint8Array): Uint8Array<ArrayBuffer> {
  return new Uint8Array(bytes)
}
