import { describe, expect, it } from 'vitest'
import { bytesToHex, hexToBytes } from 'viem'
import type { Bytes32 } from '#shared/base/ids.ts'
import {
  buildTree,
  consistencyProof,
  inclusionProof,
  leafHash,
  nodeHash,
  rootByTurns,
  treeRoot,
  turnsOf,
  verifyConsistency,
  verifyInclusion,
  type HashReader,
} from '#shared/proof/tree.ts'
import { createRandom } from '#test/support/random.ts'

/** The reference data of Certificate Transparency: eight leaves, the roots of their logs, and some proofs. */
const LEAVES = [
  '0x',
  '0x00',
  '0x10',
  '0x2021',
  '0x3031',
  '0x40414243',
  '0x5051525354555657',
  '0x606162636465666768696a6b6c6d6e6f',
] as const
const ROOTS: readonly Bytes32[] = [
  '0xe3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855',
  '0x6e340b9cffb37a989ca544e6bb780a2c78901d3fb33738768511a30617afa01d',
  '0xfac54203e7cc696cf0dfcb42c92a1d9dbaf70ad9e621f4bd8d98662f00e3c125',
  '0xaeb6bcfe274b70a14fb067a5e5578264db0fa9b51af5e0ba159158f329e06e77',
  '0xd37ee418976dd95753c1c73862b9398fa2a2cf9b4ff0fdfe8b30cd95209614b7',
  '0x4e3bbb1f7b478dcfe71fb631631519a3bca12c9aefca1612bfce4c13a86264d4',
  '0x76e67dadbcdf1e10e1b74ddc608abd2f98dfb16fbce75277b5232a127f2087ef',
  '0xddb89be403809e325750d3d263cd78929c2942b7942a34b77e122c9594a74c8c',
  '0x5dc9da79a70659a9ad559cb701ded9a2ab9d823aad2f4960cfe370eff4604328',
]
const [H01, H23, H4567, H5, H67, H45, H0, H6]: readonly Bytes32[] = [
  '0x96a296d224f285c67bee93c30f8a309157f0daa35dc5b87e410b78630a09cfc7',
  '0x5f083f0a1a33ca076a95279832580db3e0ef4584bdff1f54c8a360f50de3031e',
  '0x6b47aaf29ee3c2af9af889bc1fb9254dabd31177f16232dd6aab035ca39bf6e4',
  '0xbc1a0643b12e4d2d7c77918f44e0f4f79a838b6cf9ec5b5c283e1f4d88599e6b',
  '0xca854ea128ed050b41b35ffc1b87b8eb2bde461e9e3b5596ece6b9d5975a0ae0',
  '0x0ebc5d3437fbe2db158b9f126a1d118e308181031d0a949f8dededebc558ef6a',
  '0x6e340b9cffb37a989ca544e6bb780a2c78901d3fb33738768511a30617afa01d',
  '0xd37ee418976dd95753c1c73862b9398fa2a2cf9b4ff0fdfe8b30cd95209614b7',
]
const INCLUSIONS: readonly [number, number, readonly (Bytes32 | undefined)[]][] = [
  [0, 1, []],
  [0, 8, [H01, H23, H4567]],
  [5, 8, [H5, H67, H6]],
  [2, 3, [ROOTS[2]]],
  [1, 5, [H0, H23, H5]],
]
const CONSISTENCIES: readonly [number, number, readonly (Bytes32 | undefined)[]][] = [
  [1, 1, []],
  [1, 8, [H01, H23, H4567]],
  [6, 8, [H45, H67, H6]],
  [2, 5, [H23, H5]],
]

/** The definition itself: every subtree hashed from its leaves. */
function readerOf(leaves: readonly Uint8Array[]): HashReader {
  return (level, index) => {
    const length = 2 ** level
    const own = leaves.slice(index * length, (index + 1) * length)
    if (own.length !== length) throw new Error(`subtree ${level}/${index} is not complete`)
    let hashes = own.map(leafHash)
    while (hashes.length > 1)
      hashes = hashes.flatMap((hash, i) =>
        i % 2 === 0 ? [nodeHash(hash, hashes[i + 1] ?? hash)] : [],
      )
    return hashes[0] ?? new Uint8Array()
  }
}

const leafOf = (leaf: Uint8Array) => bytesToHex(leafHash(leaf))
const read = readerOf(LEAVES.map((leaf) => hexToBytes(leaf)))

describe('the published vectors', () => {
  it.each(ROOTS.map((root, size) => [size, root]))('have the root of a log of %i', (size, root) => {
    expect(treeRoot(Number(size), read)).toBe(root)
  })

  it.each(INCLUSIONS)('have the inclusion of leaf %i in %i', (index, size, proof) => {
    expect(inclusionProof({ index, size }, read)).toEqual(proof)
  })

  it.each(CONSISTENCIES)('have the consistency of %i with %i', (from, to, proof) => {
    expect(consistencyProof({ from, to }, read)).toEqual(proof)
  })
})

describe('proofs', () => {
  const leaves = Array.from({ length: 41 }, (_, i) => new Uint8Array([i, 7]))
  const reader = readerOf(leaves)
  const roots = leaves.map((_, i) => treeRoot(i + 1, reader))
  const rootOf = (size: number) => (size === 0 ? treeRoot(0, reader) : (roots[size - 1] ?? '0x'))

  it('verify for every leaf of every size, and for no other leaf, place or root', () => {
    for (let size = 1; size <= leaves.length; size += 1) {
      for (let index = 0; index < size; index += 1) {
        const proof = inclusionProof({ index, size }, reader)
        const leaf = leafOf(leaves[index] ?? new Uint8Array())
        const claim = { index, size, root: rootOf(size), leaf, proof }
        expect(verifyInclusion(claim)).toBe(true)
        expect(verifyInclusion({ ...claim, index: index + 1 })).toBe(false)
        expect(verifyInclusion({ ...claim, root: leaf })).toBe(size === 1)
        expect(verifyInclusion({ ...claim, proof: [...proof, leaf] })).toBe(false)
        if (proof.length > 0)
          expect(verifyInclusion({ ...claim, proof: proof.slice(1) })).toBe(false)
      }
    }
  })

  it('show that every later log continues every earlier one, and no other', () => {
    for (let to = 0; to <= leaves.length; to += 1) {
      for (let from = 0; from <= to; from += 1) {
        const proof = consistencyProof({ from, to }, reader)
        const claim = { from, to, fromRoot: rootOf(from), toRoot: rootOf(to), proof }
        expect(verifyConsistency(claim), `${from} ${to}`).toBe(true)
        const fork = leafOf(new Uint8Array([99]))
        expect(verifyConsistency({ ...claim, fromRoot: fork })).toBe(false)
        expect(verifyConsistency({ ...claim, toRoot: fork })).toBe(from === 0 && to > 0)
        expect(verifyConsistency({ ...claim, proof: [...proof, fork] })).toBe(false)
      }
    }
  })

  it('fail when one byte of them changes', () => {
    const random = createRandom(4)
    for (let round = 0; round < 200; round += 1) {
      const to = 2 + random.below(leaves.length - 1)
      const from = 1 + random.below(to - 1)
      const proof = consistencyProof({ from, to }, reader)
      if (proof.length === 0) continue
      const which = random.below(proof.length)
      const edited = proof.map((hash, i) => {
        if (i !== which) return hash
        const at = 2 + random.below(64)
        return `${hash.slice(0, at)}${hash[at] === '0' ? '1' : '0'}${hash.slice(at + 1)}` as Bytes32
      })
      const claim = { from, to, fromRoot: rootOf(from), toRoot: rootOf(to), proof: edited }
      expect(verifyConsistency(claim), `${from} ${to}`).toBe(false)
    }
  })
})

describe('the turns of a proof', () => {
  it('lead every leaf of every tree to the root, and no other turns do', () => {
    const hashes = Array.from({ length: 20 }, (_, i) => bytesToHex(leafHash(Uint8Array.of(i))))
    for (let size = 1; size <= hashes.length; size += 1) {
      const leaves = hashes.slice(0, size)
      const tree = buildTree(leaves)
      for (const [index, leaf] of leaves.entries()) {
        const proof = tree.proof(index)
        const own = turnsOf({ index, size })
        const right = Array.from({ length: 2 ** proof.length + 2 }, (_, turns) => turns).filter(
          (turns) => rootByTurns(leaf, { turns, proof }) === tree.root,
        )
        expect(right).toEqual([own])
      }
    }
  })
})
