/**
 * P-256 signatures over 32-byte digests, by the runtime's own library where it has one, otherwise by WebCrypto.
 *
 * WebCrypto hashes what it signs, so the chain checks a signature over sha256(digest). WebCrypto does not normalise s,
 * and OpenZeppelin's P256 refuses a high s as malleable. Signing therefore lowers s, and verifying requires a low s.
 */
import { hexToBytes, toHex, type Hex } from 'viem'
import { z } from 'zod'
import { Bytes32, type Signature } from '#shared/base/ids.ts'
import { memoize } from '#shared/base/memoize.ts'
import { nativeCrypto } from '#shared/base/native-crypto.ts'

const ALGORITHM = { name: 'ECDSA', namedCurve: 'P-256' } as const
const SIGN = { name: 'ECDSA', hash: 'SHA-256' } as const
/** Order of the P-256 group: FIPS 186-5, https://csrc.nist.gov/pubs/sp/800/186/final section 3.2.1.3 */
const ORDER = 0xffffffff00000000ffffffffffffffffbce6faada7179e84f3b9cac2fc632551n

type SigningKey = Awaited<ReturnType<typeof crypto.subtle.importKey>>

/** A WebCrypto key pair. It has a name of its own because each runtime's types name it differently. */
export interface SigningKeyPair {
  readonly privateKey: SigningKey
  readonly publicKey: SigningKey
}

export const PublicKey = z.strictObject({ x: Bytes32, y: Bytes32 })
export type PublicKey = z.infer<typeof PublicKey>

export interface Signer {
  readonly publicKey: PublicKey
  sign(digest: Bytes32): Promise<Signature>
}

/** @param extractable whether the owner may write the private key to a file */
export function generateSigningKey(extractable: boolean): Promise<SigningKeyPair> {
  return crypto.subtle.generateKey(ALGORITHM, extractable, [
    'sign',
    'verify',
  ]) as Promise<SigningKeyPair>
}

export async function createSigner(keys: SigningKeyPair): Promise<Signer> {
  const raw = new Uint8Array((await crypto.subtle.exportKey('raw', keys.publicKey)) as ArrayBuffer)
  const webSign: Sign = async (data) =>
    new Uint8Array(await crypto.subtle.sign(SIGN, keys.privateKey, data))
  const sign = (await nativeSign(keys)) ?? webSign
  return {
    publicKey: { x: toHex(raw.subarray(1, 33)), y: toHex(raw.subarray(33, 65)) },
    sign: async (digest) => lowS(toHex(await sign(toBytes(digest)))),
  }
}

type Sign = (data: Uint8Array<ArrayBuffer>) => Uint8Array | Promise<Uint8Array>

/** Signs natively only with an extractable key: others must stay inside WebCrypto. */
async function nativeSign({ privateKey }: SigningKeyPair): Promise<Sign | undefined> {
  if (nativeCrypto === undefined || !privateKey.extractable) return undefined
  return nativeCrypto.signer(await crypto.subtle.exportKey('jwk', privateKey))
}

/** The private key as JWK text, for a 0600 file or a Durable Object's own storage. */
export async function exportSigningKey(keys: SigningKeyPair): Promise<string> {
  return JSON.stringify(await crypto.subtle.exportKey('jwk', keys.privateKey))
}

export async function importSigningKey(jwkText: string): Promise<SigningKeyPair> {
  const jwk = JSON.parse(jwkText) as { kty: string; crv: string; x: string; y: string; d: string }
  const { kty, crv, x, y } = jwk
  const privateKey = await crypto.subtle.importKey('jwk', jwk, ALGORITHM, true, ['sign'])
  const publicKey = await crypto.subtle.importKey('jwk', { kty, crv, x, y }, ALGORITHM, true, [
    'verify',
  ])
  return { privateKey, publicKey }
}

/** Tells whether `key` signed `digest`. Returns false for malformed keys and a high s; never throws. */
export async function verifySignature(
  key: PublicKey,
  digest: Bytes32,
  signature: Signature,
): Promise<boolean> {
  if (!/^0x[0-9a-f]{128}$/.test(signature) || BigInt(`0x${signature.slice(66)}`) > ORDER / 2n)
    return false
  try {
    const verify = nativeVerifier(key)
    if (verify !== undefined) return verify(toBytes(digest), toBytes(signature))
    const publicKey = await importPublicKey(key)
    return await crypto.subtle.verify(SIGN, publicKey, toBytes(signature), toBytes(digest))
  } catch {
    return false
  }
}

/** A hub and a node see the same few keys in every job, and importing one costs nearly as much as verifying. */
const importPublicKey = ({ x, y }: PublicKey): Promise<SigningKey> => imported(`${x}${y.slice(2)}`)

const imported = memoize((point): Promise<SigningKey> => {
  const raw = toBytes(`0x04${point.slice(2)}`)
  return crypto.subtle.importKey('raw', raw, ALGORITHM, false, ['verify'])
}, 256)

const nativeVerifier = ({ x, y }: PublicKey) => nativeVerifiers(`${x}${y}`)

const nativeVerifiers = memoize(
  (point) => nativeCrypto?.verifier(point.slice(0, 66) as Hex, point.slice(66) as Hex),
  256,
)

function lowS(signature: Hex): Signature {
  const s = BigInt(`0x${signature.slice(66)}`)
  if (s <= ORDER / 2n) return signature
  return `${signature.slice(0, 66)}${(ORDER - s).toString(16).padStart(64, '0')}` as Hex
}

function toBytes(hex: Hex): Uint8Array<ArrayBuffer> {
  return new Uint8Array(hexToBytes(hex))
}
