/**
 * Merkle tree over 32-byte leaves with sorted pairs, as OpenZeppelin's MerkleProof verifies it.
 * Leaves are EIP-712 struct hashes (preimages longer than 64 bytes), so a leaf can never pass for an inner node.
 * An odd node moves up unchanged. Each layer is one flat array.
 */
import { bytesToHex, concat, hexToBytes, keccak256 } from 'viem'
import { invariant } from '#shared/base/errors.ts'
import { ZERO_BYTES32, type Bytes32 } from '#shared/base/ids.ts'

export interface MerkleTree {
  readonly root: Bytes32
  /** Sibling hashes from the leaf up. */
  proof(index: number): Bytes32[]
}

export const EMPTY_ROOT: Bytes32 = ZERO_BYTES32

export function buildMerkleTree(leaves: readonly Bytes32[]): MerkleTree {
  if (leaves.length === 0) return { root: EMPTY_ROOT, proof: () => [] }
  const layers: Uint8Array[] = [flatten(leaves)]
  for (let layer = layers[0]; layer !== undefined && layer.length > 32;) {
    layer = parentLayer(layer)
    layers.push(layer)
  }
  const top = layers.at(-1)
  invariant(top !== undefined, 'a tree has a top layer')
  return { root: bytesToHex(top), proof: (index) => proofOf(layers, index) }
}

export function verifyMerkleProof(
  root: Bytes32,
  leaf: Bytes32,
  proof: readonly Bytes32[],
): boolean {
  return (
    proof.reduce(
      (hash, sibling) =>
        keccak256(hash < sibling ? concat([hash, sibling]) : concat([sibling, hash])),
      leaf,
    ) === root
  )
}

function proofOf(layers: readonly Uint8Array[], index: number): Bytes32[] {
  invariant(index >= 0 && index * 32 < (layers[0]?.length ?? 0), `leaf ${index} is not in the tree`)
  const proof: Bytes32[] = []
  for (const [height, layer] of layers.entries()) {
    const sibling = (index >> height) ^ 1
    if (height < layers.length - 1 && sibling * 32 < layer.length) {
      proof.push(bytesToHex(layer.subarray(sibling * 32, sibling * 32 + 32)))
    }
  }
  return proof
}

function parentLayer(layer: Uint8Array): Uint8Array {
  const count = layer.length / 32
  const parents = new Uint8Array(Math.ceil(count / 2) * 32)
  const pair = new Uint8Array(64)
  for (let i = 0; i < count; i += 2) {
    const left = layer.subarray(i * 32, i * 32 + 32)
    if (i + 1 === count) {
      parents.set(left, (i / 2) * 32)
      continue
    }
    const right = layer.subarray(i * 32 + 32, i * 32 + 64)
    const inOrder = compare(left, right) <= 0
    pair.set(inOrder ? left : right, 0)
    pair.set(inOrder ? right : left, 32)
    parents.set(keccak256(pair, 'bytes'), (i / 2) * 32)
  }
  return parents
}

function flatten(leaves: readonly Bytes32[]): Uint8Array {
  const flat = new Uint8Array(leaves.length * 32)
  leaves.forEach((leaf, i) => flat.set(hexToBytes(leaf), i * 32))
  return flat
}

function compare(a: Uint8Array, b: Uint8Array): number {
  for (let i = 0; i < 32; i += 1) {
    const difference = (a[i] ?? 0) - (b[i] ?? 0)
    if (difference !== 0) return difference
  }
  return 0
}
