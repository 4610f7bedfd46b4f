/**
 * One signature for many leaves: the signer signs the root of an RFC 9162 tree over them, and each leaf carries its path.
 * A tree of one leaf is the ordinary case of a signature alone.
 */
import { z } from 'zod'
import { Bytes32, Signature } from '#shared/base/ids.ts'
import { sha256Hex } from '#shared/base/native-crypto.ts'
import { BoundedMap } from '#shared/base/bounded-map.ts'
import { domainName, type Domain } from './domain.ts'
import { list, signatureBytes, struct, uint, word } from './encoding.ts'
import { layout } from './layout.ts'
import { verifySignature, type PublicKey, type Signer } from './signature.ts'
import { buildTree, rootOf } from './tree.ts'

/** Most leaves under one signature. */
export const TREE_LEAVES = 64
const PATH_HASHES = Math.log2(TREE_LEAVES)

export const TreeSignature = z.strictObject({
  /** The leaf's place among the leaves, from 0. */
  index: z
    .int()
    .min(0)
    .max(TREE_LEAVES - 1),
  size: z.int().min(1).max(TREE_LEAVES),
  /** Sibling hashes from the leaf up. */
  path: z.array(Bytes32).max(PATH_HASHES),
  /** Over the root and the size. */
  signature: Signature,
})
export type TreeSignature = Readonly<z.infer<typeof TreeSignature>>

export const TREE_SIGNATURE = struct<TreeSignature>({
  index: uint(1),
  size: uint(1),
  path: list(word),
  signature: signatureBytes,
})

/** Who signs: the same leaves under the other's name are another message. */
export type TreeSigner = 'node' | 'hub'

interface SignedRoot {
  readonly root: Bytes32
  readonly size: number
}

const ROOT = struct<SignedRoot>({ root: word, size: uint(4) })
export const SIGNED_ROOTS = { node: layout('node root', 1, ROOT), hub: layout('hub root', 1, ROOT) }

export interface TreeSigning {
  readonly by: TreeSigner
  readonly domain: Domain
}

/** Signs leaf hashes together. @returns one for each, in order. @param leaves 1 to {@link TREE_LEAVES} */
export async function signLeaves(
  leaves: readonly Bytes32[],
  { by, domain, signer }: TreeSigning & { readonly signer: Signer },
): Promise<TreeSignature[]> {
  const size = leaves.length
  if (size < 1 || size > TREE_LEAVES)
    throw new RangeError(`${size} leaves are not 1 to ${TREE_LEAVES}`)
  const tree = buildTree(leaves)
  const signature = await signer.sign(rootDigest({ by, domain }, { root: tree.root, size }))
  return leaves.map((_, index) => ({ index, size, path: tree.proof(index), signature }))
}

/** Tells whether `key` signed a tree that holds `leaf`. Leaves of one tree cost one verification; never throws. */
export async function verifyLeaf(
  leaf: Bytes32,
  { index, size, path, signature }: TreeSignature,
  { by, domain, key }: TreeSigning & { readonly key: PublicKey },
): Promise<boolean> {
  const root = size > TREE_LEAVES ? undefined : rootOf({ index, size, leaf, proof: path })
  if (root === undefined) return false
  const name = `${key.x}${key.y}${by}${domainName(domain)}/${size}${root}${signature}`
  const known = verified.get(name)
  if (known !== undefined) return known
  const digest = rootDigest({ by, domain }, { root, size })
  const result = verifySignature(key, digest, signature)
  verified.set(name, result)
  return result
}

/** Results by key, signed root and signature. */
const verified = new BoundedMap<string, Promise<boolean>>(256)

function rootDigest({ by, domain }: TreeSigning, signed: SignedRoot): Bytes32 {
  return sha256Hex(SIGNED_ROOTS[by].encode(domain, signed))
}
