import { describe, expect, it } from 'vitest'
import { nativeCrypto } from '#shared/base/native-crypto.ts'
import { digestBytes } from '#shared/receipt/receipt.ts'
import {
  createSigner,
  generateSigningKey,
  verifySignature,
  type Signer,
} from '#shared/proof/signature.ts'

const DIGEST = `0x${'5a'.repeat(32)}` as const

/** Verifies with WebCrypto alone. */
async function webVerifies(signer: Signer, signature: string): Promise<boolean> {
  const bytes = (hex: string) => Uint8Array.from(Buffer.from(hex, 'hex'))
  const { x, y } = signer.publicKey
  const algorithm = { name: 'ECDSA', namedCurve: 'P-256' }
  const raw = bytes(`04${x.slice(2)}${y.slice(2)}`)
  const key = await crypto.subtle.importKey('raw', raw, algorithm, false, ['verify'])
  const how = { name: 'ECDSA', hash: 'SHA-256' }
  return crypto.subtle.verify(how, key, bytes(signature.slice(2)), bytes(DIGEST.slice(2)))
}

describe('the runtime’s own cryptography beside WebCrypto', () => {
  it('exists in Node', () => expect(nativeCrypto).toBeDefined())

  it('signs what WebCrypto accepts, and accepts what WebCrypto signed', async () => {
    for (const extractable of [true, false]) {
      const signer = await createSigner(await generateSigningKey(extractable))
      const signature = await signer.sign(DIGEST)
      expect(await webVerifies(signer, signature)).toBe(true)
      expect(await verifySignature(signer.publicKey, DIGEST, signature)).toBe(true)
      const other = `0x${'5b'.repeat(32)}` as const
      expect(await verifySignature(signer.publicKey, other, signature)).toBe(false)
    }
  })

  it('agrees with WebCrypto on numbers with leading zeroes and with a high first bit', async () => {
    const { privateKey, publicKey } = await generateSigningKey(true)
    const how = { name: 'ECDSA', hash: 'SHA-256' }
    const sign = nativeCrypto?.signer(await crypto.subtle.exportKey('jwk', privateKey))
    const { x, y } = (await createSigner({ privateKey, publicKey })).publicKey
    const verify = nativeCrypto?.verifier(x, y)
    const data = new Uint8Array(32)
    const isSeen = { short: false, high: false }
    for (let turn = 0; turn < 5_000 && !(isSeen.short && isSeen.high); turn += 1) {
      const signature = new Uint8Array(sign?.(data) ?? [])
      expect(signature.length).toBe(64)
      for (const first of [signature[0], signature[32]]) {
        isSeen.short ||= first === 0
        isSeen.high ||= (first ?? 0) >= 0x80
      }
      expect(await crypto.subtle.verify(how, publicKey, signature, data)).toBe(true)
      expect(verify?.(data, signature)).toBe(true)
      signature[turn % 64] = (signature[turn % 64] ?? 0) ^ 1
      expect(verify?.(data, signature)).toBe(false)
    }
    expect(isSeen).toEqual({ short: true, high: true })
  })

  it('returns false for a point that is not on the curve', async () => {
    const signer = await createSigner(await generateSigningKey(true))
    const signature = await signer.sign(DIGEST)
    const key = { x: signer.publicKey.x, y: signer.publicKey.x }
    expect(await verifySignature(key, DIGEST, signature)).toBe(false)
  })

  it('gives the same digest for small and large bytes', async () => {
    for (const sizeBytes of [0, 1, 1024, 300 * 1024]) {
      const bytes = new Uint8Array(sizeBytes).fill(7)
      const web = Buffer.from(await crypto.subtle.digest('SHA-256', bytes)).toString('hex')
      expect(await digestBytes(bytes)).toBe(`0x${web}`)
    }
  })
})
