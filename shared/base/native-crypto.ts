/**
 * P-256 and SHA-256 by `node:crypto` in Node. Calls are synchronous: WebCrypto uses another thread.
 *
 * A job signs three times and verifies six times. In Node, half of WebCrypto's time for that is the way to the other
 * thread and back. Browsers load this file too, so it reads `process.getBuiltinModule` and does not import `node:crypto`.
 */
import { bytesToHex, hexToBytes, type Hex } from 'viem'
import { toBase64Url } from './base64.ts'
import type { Bytes32 } from './ids.ts'
import { sha256 } from './sha256.ts'

interface KeyHandle {
  readonly asymmetricKeyType?: string
}

interface NodeCrypto {
  hash(name: 'sha256', bytes: Uint8Array, form: 'buffer'): Uint8Array
  createPublicKey(from: { key: object; format: 'jwk' }): KeyHandle
  createPrivateKey(from: { key: object; format: 'jwk' }): KeyHandle
  sign(hash: 'sha256', data: Uint8Array, key: KeyHandle): Uint8Array
  verify(hash: 'sha256', data: Uint8Array, key: KeyHandle, signature: Uint8Array): boolean
}

export interface NativeCrypto {
  readonly sha256: (bytes: Uint8Array) => Uint8Array
  /** @param jwk the private key */
  signer(jwk: object): (data: Uint8Array) => Uint8Array
  /** @param x, y affine coordinates, 32 bytes each. @throws for a point that is not on the curve */
  verifier(x: Hex, y: Hex): (data: Uint8Array, signature: Uint8Array) => boolean
}

function find(): NativeCrypto | undefined {
  const { navigator, process } = globalThis as unknown as {
    navigator?: { userAgent?: string }
    process?: { getBuiltinModule?: (name: string) => unknown }
  }
  // workerd's WebCrypto takes no other thread, and its native hash objects cost more than a hash in JavaScript.
  if (navigator?.userAgent === 'Cloudflare-Workers') return undefined
  const found = process?.getBuiltinModule?.('node:crypto') as NodeCrypto | undefined
  const adapted = found === undefined ? undefined : adapt(found)
  return adapted !== undefined && agrees(adapted) ? adapted : undefined
}

function adapt(crypto: NodeCrypto): NativeCrypto {
  const curve = { kty: 'EC', crv: 'P-256' }
  return {
    // Without a hash object, which costs several times as much as the hash of a short input.
    sha256: (bytes) => crypto.hash('sha256', bytes, 'buffer'),
    signer(jwk) {
      const key = crypto.createPrivateKey({ key: jwk, format: 'jwk' })
      return (data) => fromDer(crypto.sign('sha256', data, key))
    },
    verifier(x, y) {
      const point = { ...curve, x: toBase64Url(hexToBytes(x)), y: toBase64Url(hexToBytes(y)) }
      const key = crypto.createPublicKey({ key: point, format: 'jwk' })
      return (data, signature) =>
        signature.length === 2 * NUMBER_BYTES &&
        crypto.verify('sha256', data, key, toDer(signature))
    },
  }
}

/** A P-256 signature is two numbers of this size, r and s. */
const NUMBER_BYTES = 32
const SEQUENCE = 0x30
const INTEGER = 0x02
const TAG_BYTES = 2

/**
 * `SEQUENCE { INTEGER r, INTEGER s }` of r and s side by side. Node takes that form with the plain key. An options
 * object, which would name the other form, doubles the cost of a signature: Node throws and catches two errors over it.
 */
function toDer(signature: Uint8Array): Uint8Array {
  const der = new Uint8Array(TAG_BYTES + 2 * (TAG_BYTES + 1 + NUMBER_BYTES))
  let end: number = TAG_BYTES
  for (const at of [0, NUMBER_BYTES])
    end = writeInteger(der, end, signature.subarray(at, at + NUMBER_BYTES))
  der[0] = SEQUENCE
  der[1] = end - TAG_BYTES
  return der.subarray(0, end)
}

/** Writes the shortest form, which OpenSSL requires. @returns where it ends */
function writeInteger(der: Uint8Array, at: number, number: Uint8Array): number {
  const first = number.findIndex((byte) => byte !== 0)
  const digits = number.subarray(first === -1 ? NUMBER_BYTES - 1 : first)
  const isNegative = (digits[0] ?? 0) >= 0x80
  const sizeBytes = digits.length + (isNegative ? 1 : 0)
  der[at] = INTEGER
  der[at + 1] = sizeBytes
  der.set(digits, at + TAG_BYTES + sizeBytes - digits.length)
  return at + TAG_BYTES + sizeBytes
}

/** @param der of at most 127 bytes, from the runtime itself */
function fromDer(der: Uint8Array): Uint8Array {
  const signature = new Uint8Array(2 * NUMBER_BYTES)
  let at: number = TAG_BYTES
  for (const end of [NUMBER_BYTES, 2 * NUMBER_BYTES]) {
    const next = at + TAG_BYTES + (der[at + 1] ?? 0)
    const digits = der.subarray(at + TAG_BYTES, next).subarray(-NUMBER_BYTES)
    signature.set(digits, end - digits.length)
    at = next
  }
  return signature
}

/** RFC 6979, A.2.5: the signature of "sample" with SHA-256, and the key `d`. */
const VECTOR: Readonly<Record<'d' | 'x' | 'y' | 'signature', Hex>> = {
  d: '0xc9afa9d845ba75166b5c215767b1d6934e50c3db36e89b127b8a622b120f6721',
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
    const [d, x, y] = [VECTOR.d, VECTOR.x, VECTOR.y].map((number) =>
      toBase64Url(hexToBytes(number)),
    )
    const own = native.signer({ kty: 'EC', crv: 'P-256', d, x, y })(text)
    const isOther = verify(text.subarray(1), signature)
    const isRight = verify(text, signature) && verify(text, own) && !isOther
    return isRight && native.sha256(text).length === 32
  } catch {
    return false
  }
}

export const nativeCrypto: NativeCrypto | undefined = find()

/** SHA-256 without a promise. In workerd and browsers it runs as JavaScript, so it is not for many bytes there. */
export const sha256Bytes: (bytes: Uint8Array) => Uint8Array = nativeCrypto?.sha256 ?? sha256

export function sha256Hex(bytes: Uint8Array): Bytes32 {
  return bytesToHex(sha256Bytes(bytes))
}
