import { generateKeyPair } from '@libp2p/crypto/keys'
import { peerIdFromPrivateKey } from '@libp2p/peer-id'
import { toHex } from 'viem'
import { describe, expect, it } from 'vitest'
import { isSignedByNode, nodePublicKey } from '#shared/node/node-key.ts'

const message = new TextEncoder().encode('here I stand')

describe('the key in a node id', () => {
  it('is the one that libp2p reads from it, and verifies what libp2p signs', async () => {
    for (let i = 0; i < 20; i += 1) {
      const key = await generateKeyPair('Ed25519')
      const nodeId = peerIdFromPrivateKey(key).toString()
      expect(nodePublicKey(nodeId)).toBe(toHex(key.publicKey.raw))
      const signature = await key.sign(message)
      expect(await isSignedByNode(nodeId, message, signature)).toBe(true)
      signature[3] = (signature[3] ?? 0) ^ 1
      expect(await isSignedByNode(nodeId, message, signature)).toBe(false)
    }
  })

  it('is missing in ids of other keys and in other text', async () => {
    const other = peerIdFromPrivateKey(await generateKeyPair('secp256k1')).toString()
    for (const id of [other, '', '1', '0OIl', '12D3KooW', 'z'.repeat(500)]) {
      expect(nodePublicKey(id)).toBeUndefined()
      expect(await isSignedByNode(id, message, new Uint8Array(64))).toBe(false)
    }
  })
})
