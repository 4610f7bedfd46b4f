/**
 * P-256 and SHA-256 by `node:crypto` where the runtime has it. Calls are synchronous: WebCrypto uses another thread.
 *
 * A job signs three times and verifies six times. In Node, half of WebCrypto's time for that is the way to the other
 * thread and back. Browsers load this file too, so it reads `process.getBuiltinModule` and does not import `node:crypto`.
 */
import { bytesToHex, hexToBytes, sha256, type Hex } from 'viem'
import { toBase64Url } from './base64.ts'
import type { Bytes32 } from './ids.ts'

interface KeyHandle {
  readonly asymmetricKeyType?: string
}

interface KeyUse {
  readonly key: KeyHandle
  readonly dsaEncoding: 'ieee-p1363'
}

interface NodeCrypto {
  createHash(name: 'sha256'): { update(bytes: Uint8Array): { digest(): Uint8Array } }
  createPublicKey(from: { key: object; format: 'jwk' }): KeyHandle
  createPrivateKey(from: { key: object; format: 'jwk' }): KeyHandle
  sign(hash: 'sha256', data: Uint8Array, use: KeyUse): Uint8Array
  verify(hash: 'sha256', data: Uint8Array, use: KeyUse, signature: Uint8Array): boolean
}

export interface NativeCrypto {
  readonly sha256: (bytes: Uint8Array) => Uint8Array
  /** @param jwk the private key */
  signer(jwk: object): (data: Uint8Array) => Uint8Array
  /** @param x, y affine coordinates, 32 bytes each. @throws for a point that is not on the curve */
  verifier(x: Hex, y: Hex): (data: Uint8Array, signature: Uint8Array) => boolean
}

function find(): NativeCrypto | undefined {
  const { process } = globalThis as unknown as {
    process?: { getBuiltinModule?: (name: string) => unknown }
  }
  const found = process?.getBuiltinModule?.('node:crypto') as NodeCrypto | undefined
  const adapted = found === undefined ? undefined : adapt(found)
  return adapted !== undefined && agrees(adapted) ? adapted : undefined
}

function adapt(crypto: NodeCrypto): NativeCrypto {
  const curve = { kty: 'EC', crv: 'P-256' }
  const use = (key: KeyHandle): KeyUse => ({ key, dsaEncoding: 'ieee-p1363' })
  return {
    sha256: (bytes) => crypto.createHash('sha256').update(bytes).digest(),
    signer(jwk) {
      const key = use(crypto.createPrivateKey({ key: jwk, format: 'jwk' }))
      return (data) => crypto.sign('sha256', data, key)
    },
    verifier(x, y) {
      const point = { ...curve, x: toBase64Url(hexToBytes(x)), y: toBase64Url(hexToBytes(y)) }
      const key = use(crypto.createPublicKey({ key: point, format: 'jwk' }))
      return (data, signature) => crypto.verify('sha256', data, key, signature)
    },
  }
}

/** RFC 6979, A.2.5: the signature of "sample" with SHA-256. */
const VECTOR: Readonly<Record<'x' | 'y' | 'signature', Hex>> = {
  x: '0x60fed4ba255a9d31c961eb74c6356d68c049b8923b61fa6ce669622e60f29fb6',
  y: '0x7903fe1008b8bc99a41ae9e95628bc64f2f1b20c2d7e9f5177a3c294d4462299',
  signature:
    '0xefd48b2aacb6a8fd1140dd9cd45e81d69d2c877b56aaf991c34d0ea84eaf3716f7cb1c942d657c41d436c7a1b6e29f65f3e900dbb9aff4064dc4ab2f843acda8',
}

/** Tells whether the runtime's crypto has every function and gives the right results. */
function agrees(native: NativeCrypto): boolean {
  const text = new TextEncoder().encode('sample')
  const signature = hexToBytes(VECTOR.signature)
  try {
    const verify = native.verifier(VECTOR.x, VECTOR.y)
    const isOther = verify(text.subarray(1), signature)
    return verify(text, signature) && !isOther && native.sha256(text).length === 32
  } catch {
    return false
  }
}

export const nativeCrypto: NativeCrypto | undefined = find()

/** SHA-256 without a promise. In a browser it runs as JavaScript, so it is not for many bytes there. */
export const sha256Bytes: (bytes: Uint8Array) => Uint8Array =
  nativeCrypto?.sha256 ?? ((bytes) => sha256(bytes, 'bytes'))

export function sha256Hex(bytes: Uint8Array): Bytes32 {
  return bytesToHex(sha256Bytes(bytes))
}
