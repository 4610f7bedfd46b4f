/**
 * Runs Noise's symmetric ciphers on `node:crypto`, with one key object for each key. Noise itself uses JavaScript in
 * workerd. In Node it makes a key object a message, at twice the cost of the cipher. Browsers have none. This file reads `process.getBuiltinModule` instead of importing `node:crypto`,
 * because browsers bundle this file too.
 */
import { pureJsCrypto, type ICryptoInterface } from '@libp2p/noise'

interface Cipher {
  setAAD(bytes: Uint8Array, options: { plaintextLength: number }): void
  update(bytes: Uint8Array): Uint8Array
  final(): Uint8Array
  getAuthTag(): Uint8Array
  setAuthTag(tag: Uint8Array): void
}

type MakeCipher = (
  name: string,
  key: object,
  nonce: Uint8Array,
  options: { authTagLength: number },
) => Cipher

interface NodeCrypto {
  createCipheriv: MakeCipher
  createDecipheriv: MakeCipher
  createSecretKey(key: Uint8Array): object
  createHash(name: string): { update(bytes: Uint8Array): void; digest(): Uint8Array }
}

const CIPHER = 'chacha20-poly1305'
const TAG_BYTES = 16
const OPTIONS = { authTagLength: TAG_BYTES }
/** Below this size, creating a native cipher in workerd costs more than the whole JavaScript one. */
const NATIVE_IN_WORKERD_BYTES = 512

/** @returns undefined where there is none, or where it is wrong */
export function nativeNoiseCrypto(): ICryptoInterface | undefined {
  const { navigator, process } = globalThis as unknown as {
    navigator?: { userAgent?: string }
    process?: { getBuiltinModule?: (name: string) => unknown }
  }
  const found = process?.getBuiltinModule?.('node:crypto') as NodeCrypto | undefined
  if (found === undefined || !agrees(found)) return undefined
  return adapt(found, navigator?.userAgent === 'Cloudflare-Workers' ? NATIVE_IN_WORKERD_BYTES : 0)
}

/** @param fromBytes shorter messages are left to JavaScript */
function adapt(crypto: NodeCrypto, fromBytes: number): ICryptoInterface {
  const keys = new WeakMap<Uint8Array, object>()
  // Noise never changes a key in place.
  const keyObject = (key: Uint8Array): object => {
    const made = keys.get(key) ?? crypto.createSecretKey(key)
    keys.set(key, made)
    return made
  }
  return {
    ...pureJsCrypto,
    hashSHA256(data) {
      const hash = crypto.createHash('sha256')
      hash.update(data.subarray())
      return plain(hash.digest())
    },
    chaCha20Poly1305Encrypt(plaintext, nonce, ad, key) {
      if (plaintext.byteLength < fromBytes)
        return pureJsCrypto.chaCha20Poly1305Encrypt(plaintext, nonce, ad, key)
      const cipher = crypto.createCipheriv(CIPHER, keyObject(key), nonce, OPTIONS)
      cipher.setAAD(ad, { plaintextLength: plaintext.byteLength })
      const body = cipher.update(plaintext.subarray())
      const rest = cipher.final()
      return joined([body, rest, cipher.getAuthTag()])
    },
    chaCha20Poly1305Decrypt(ciphertext, nonce, ad, key, dst) {
      if (ciphertext.byteLength < fromBytes)
        return pureJsCrypto.chaCha20Poly1305Decrypt(ciphertext, nonce, ad, key, dst)
      const bytes = ciphertext.subarray()
      const textBytes = bytes.byteLength - TAG_BYTES
      const cipher = crypto.createDecipheriv(CIPHER, keyObject(key), nonce, OPTIONS)
      cipher.setAAD(ad, { plaintextLength: textBytes })
      cipher.setAuthTag(bytes.subarray(textBytes))
      const body = cipher.update(bytes.subarray(0, textBytes))
      const rest = cipher.final()
      return rest.byteLength === 0 ? plain(body) : joined([body, rest])
    },
  }
}

/** Makes one round trip against the JavaScript ciphers, so that a broken native cipher is never used. */
function agrees(crypto: NodeCrypto): boolean {
  const bytes = (sizeBytes: number) => new Uint8Array(sizeBytes).map((_, at) => at)
  const [text, nonce, ad, key] = [bytes(100), bytes(12), bytes(32), bytes(32)]
  try {
    const native = adapt(crypto, 0)
    const sealed = native.chaCha20Poly1305Encrypt(text, nonce, ad, key).subarray()
    const opened = pureJsCrypto.chaCha20Poly1305Decrypt(sealed, nonce, ad, key).subarray()
    const back = native.chaCha20Poly1305Decrypt(sealed, nonce, ad, key).subarray()
    return (
      opened.every((byte, at) => byte === text[at]) && back.every((byte, at) => byte === text[at])
    )
  } catch {
    return false
  }
}

function joined(parts: readonly Uint8Array[]): Uint8Array {
  const all = new Uint8Array(parts.reduce((sum, part) => sum + part.byteLength, 0))
  let at = 0
  for (const part of parts) {
    all.set(part, at)
    at += part.byteLength
  }
  return all
}

function plain(bytes: Uint8Array): Uint8Array {
  return new Uint8Array(bytes.buffer, bytes.byteOffset, bytes.byteLength)
}
