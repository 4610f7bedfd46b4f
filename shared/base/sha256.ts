/** SHA-256 at once, by the runtime where it can; the same bytes everywhere. */
import { bytesToHex, sha256 } from 'viem'
import type { Bytes32 } from './ids.ts'
import { nativeCrypto } from './native-crypto.ts'

/** Not for many bytes in a browser: there it is JavaScript. */
export const sha256Bytes: (bytes: Uint8Array) => Uint8Array =
  nativeCrypto?.sha256 ?? ((bytes) => sha256(bytes, 'bytes'))

export function sha256Hex(bytes: Uint8Array): Bytes32 {
  return bytesToHex(sha256Bytes(bytes))
}
