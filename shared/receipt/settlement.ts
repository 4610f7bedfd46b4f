/** What the Settlement contract hashes besides policies and receipts: a node's earnings, and its payout address. */
import { bytesToHex, hashTypedData } from 'viem'
import { ZERO_BYTES32, type Address, type Bytes32 } from '#shared/base/ids.ts'
import { NO_DOMAIN, type Domain } from '#shared/proof/domain.ts'
import { amount, struct, word } from '#shared/proof/encoding.ts'
import { layout } from '#shared/proof/layout.ts'
import type { PublicKey } from '#shared/proof/signature.ts'
import { leafHash } from '#shared/proof/tree.ts'

/** Stands in a batch for the root of no leaves, and for the parent of the first batch. */
export const EMPTY_ROOT: Bytes32 = ZERO_BYTES32

interface Earned {
  readonly x: Bytes32
  readonly y: Bytes32
  readonly cumulativeMicroUsd: string
}

export const EARNINGS_LAYOUT = layout(
  'earnings',
  1,
  struct<Earned>({ x: word, y: word, cumulativeMicroUsd: amount }),
)

/** Leaf of the earnings tree: everything that a receipt key has ever earned. */
export function earningsLeaf({ x, y }: PublicKey, cumulativeMicroUsd: bigint): Bytes32 {
  const earned = { x, y, cumulativeMicroUsd: cumulativeMicroUsd.toString() }
  return bytesToHex(leafHash(EARNINGS_LAYOUT.encode(NO_DOMAIN, earned)))
}

const PAYOUT = {
  Payout: [
    { name: 'keyX', type: 'bytes32' },
    { name: 'keyY', type: 'bytes32' },
    { name: 'to', type: 'address' },
    { name: 'nonce', type: 'uint256' },
  ],
} as const

/** EIP-712 digest that a receipt key signs to name its payout address. @param nonce the contract's next for this key */
export function payoutDigest(
  domain: Domain,
  { key, to, nonce }: { readonly key: PublicKey; readonly to: Address; readonly nonce: bigint },
): Bytes32 {
  return hashTypedData({
    domain: { name: 'Littoral', version: '1', ...domain },
    types: PAYOUT,
    primaryType: 'Payout',
    message: { keyX: key.x, keyY: key.y, to, nonce },
  })
}
