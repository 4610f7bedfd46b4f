import { keccak256, stringToBytes } from 'viem'
import { describe, expect, it } from 'vitest'
import type { Bytes32 } from '#shared/base/ids.ts'
import { buildMerkleTree, EMPTY_ROOT, verifyMerkleProof } from '#shared/receipt/merkle.ts'

function leaves(count: number): Bytes32[] {
  return Array.from({ length: count }, (_, i) => keccak256(stringToBytes(`leaf ${i}`)))
}

describe('a Merkle tree', () => {
  it('proves each of its leaves, whatever their number', () => {
    for (let count = 1; count <= 40; count += 1) {
      const all = leaves(count)
      const tree = buildMerkleTree(all)
      for (const [index, leaf] of all.entries())
        if (!verifyMerkleProof(tree.root, leaf, tree.proof(index)))
          expect.fail(`leaf ${index} of ${count}`)
    }
  })

  it('proves no other leaf, and no leaf with another proof', () => {
    const all = leaves(13)
    const tree = buildMerkleTree(all)
    const stranger = keccak256(stringToBytes('stranger'))
    for (const [index, leaf] of all.entries()) {
      expect(verifyMerkleProof(tree.root, stranger, tree.proof(index))).toBe(false)
      expect(verifyMerkleProof(tree.root, leaf, tree.proof((index + 5) % 13))).toBe(false)
      expect(verifyMerkleProof(tree.root, leaf, tree.proof(index).slice(1))).toBe(false)
    }
  })

  it('has another root when any leaf changes', () => {
    const all = leaves(9)
    const { root } = buildMerkleTree(all)
    for (const index of all.keys()) {
      const changed = all.with(index, keccak256(stringToBytes('changed')))
      expect(buildMerkleTree(changed).root).not.toBe(root)
    }
  })

  it('of one leaf is that leaf, and of none is the empty root', () => {
    const [only] = leaves(1)
    expect(buildMerkleTree(leaves(1)).root).toBe(only)
    expect(buildMerkleTree([]).root).toBe(EMPTY_ROOT)
  })
})
