/** Strict base64: refuses whatever is not exactly base64. */

const BASE64 = /^[A-Za-z0-9+/]*={0,2}$/
const CHUNK_BYTES = 0x8000

/** Newer runtimes have both: https://tc39.es/proposal-arraybuffer-base64/spec/ */
interface ToBase64 {
  readonly toBase64?: () => string
}
const native = Uint8Array as { readonly fromBase64?: (text: string) => Uint8Array }

/** @returns undefined for anything but padded standard base64 */
export function decodeBase64(text: string): Uint8Array | undefined {
  if (text.length % 4 !== 0 || !BASE64.test(text)) return undefined
  if (native.fromBase64 !== undefined) return native.fromBase64(text)
  const binary = atob(text)
  const bytes = new Uint8Array(binary.length)
  for (let i = 0; i < binary.length; i += 1) bytes[i] = binary.charCodeAt(i)
  return bytes
}

export function encodeBase64(bytes: Uint8Array & ToBase64): string {
  if (bytes.toBase64 !== undefined) return bytes.toBase64()
  let binary = ''
  for (let at = 0; at < bytes.length; at += CHUNK_BYTES) {
    binary += String.fromCharCode(...bytes.subarray(at, at + CHUNK_BYTES))
  }
  return btoa(binary)
}

/** Base64 for URLs, without padding. */
export function toBase64Url(bytes: Uint8Array): string {
  return encodeBase64(bytes).replaceAll('+', '-').replaceAll('/', '_').replace(/=+$/, '')
}

export function fromBase64Url(text: string): Uint8Array | undefined {
  const standard = text.replaceAll('-', '+').replaceAll('_', '/')
  return decodeBase64(standard.padEnd(Math.ceil(standard.length / 4) * 4, '='))
}
