import { beforeAll, describe, expect, it } from 'vitest'
import { createSigner, generateSigningKey, type Signer } from '#shared/proof/signature.ts'
import { signLeaves, TREE_LEAVES, TreeSignature, verifyLeaf } from '#shared/proof/tree-signature.ts'
import { sha256Hex } from '#shared/base/native-crypto.ts'

const domain = { chainId: 31_337, verifyingContract: `0x${'5e'.repeat(20)}` } as const
const elsewhere = { ...domain, chainId: 1 }
const leavesOf = (count: number) =>
  Array.from({ length: count }, (_, index) => sha256Hex(new Uint8Array([count, index])))

let signer: Signer
let signatures = 0
beforeAll(async () => {
  const real = await createSigner(await generateSigningKey(true))
  signer = {
    publicKey: real.publicKey,
    sign(digest) {
      signatures += 1
      return real.sign(digest)
    },
  }
})

describe('a signature over a tree', () => {
  it.each([1, 2, 3, 5, 31, 32, 33, TREE_LEAVES])(
    'holds for each of %i leaves, was made once, and survives the wire',
    async (count) => {
      const leaves = leavesOf(count)
      signatures = 0
      const signed = await signLeaves(leaves, { by: 'node', domain, signer })
      expect(signatures).toBe(1)
      for (const [index, leaf] of leaves.entries()) {
        const own = TreeSignature.parse(JSON.parse(JSON.stringify(signed[index])))
        const key = signer.publicKey
        expect(await verifyLeaf(leaf, own, { by: 'node', domain, key })).toBe(true)
        const other = leaves[(index + 1) % count] ?? leaf
        if (other !== leaf)
          expect(await verifyLeaf(other, own, { by: 'node', domain, key })).toBe(false)
      }
    },
  )

  it('holds for no other signer, domain, key, place, size, path or signature', async () => {
    const leaves = leavesOf(5)
    const [leaf, signature] = [
      leaves[2],
      (await signLeaves(leaves, { by: 'node', domain, signer }))[2],
    ]
    if (leaf === undefined || signature === undefined) throw new Error('five were signed')
    const key = signer.publicKey
    const stranger = (await createSigner(await generateSigningKey(true))).publicKey
    const asNode = { by: 'node', domain, key } as const
    const edits: TreeSignature[] = [
      { ...signature, index: 3 },
      { ...signature, index: 0 },
      { ...signature, size: 6 },
      { ...signature, size: TREE_LEAVES + 1 },
      { ...signature, path: signature.path.slice(1) },
      { ...signature, path: [...signature.path, leaf] },
      { ...signature, path: signature.path.toReversed() },
      { ...signature, signature: `0x${'11'.repeat(64)}` },
    ]
    expect(await verifyLeaf(leaf, signature, asNode)).toBe(true)
    for (const edit of edits) expect(await verifyLeaf(leaf, edit, asNode)).toBe(false)
    expect(await verifyLeaf(leaf, signature, { ...asNode, by: 'hub' })).toBe(false)
    expect(await verifyLeaf(leaf, signature, { ...asNode, domain: elsewhere })).toBe(false)
    expect(await verifyLeaf(leaf, signature, { ...asNode, key: stranger })).toBe(false)
  })

  it('is made for 1 to 64 leaves', async () => {
    for (const count of [0, TREE_LEAVES + 1])
      await expect(signLeaves(leavesOf(count), { by: 'hub', domain, signer })).rejects.toThrow(
        RangeError,
      )
  })
})
