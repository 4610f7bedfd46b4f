/** Structs of the Settlement contract besides receipts: a node's earnings, and its payout address. */
import { structHash } from '#shared/base/eip712.ts'
import type { Address, Bytes32 } from '#shared/base/ids.ts'
import type { PublicKey } from '#shared/base/signature.ts'

export const EARNINGS_TYPE = 'Earnings(bytes32 keyX,bytes32 keyY,uint256 cumulativeMicroUsd)'

/** Leaf of the earnings tree: everything that a receipt key has ever earned. */
export function earningsLeaf(key: PublicKey, cumulativeMicroUsd: bigint): Bytes32 {
  return structHash(EARNINGS_TYPE, [key.x, key.y, cumulativeMicroUsd])
}

export const PAYOUT_TYPE = 'Payout(bytes32 keyX,bytes32 keyY,address to,uint256 nonce)'

/** Hash that a receipt key signs to name its payout address. @param nonce the contract's next nonce for this key */
export function payoutHash(key: PublicKey, to: Address, nonce: bigint): Bytes32 {
  return structHash(PAYOUT_TYPE, [
    key.x,
    key.y,
    `0x${to.slice(2).toLowerCase().padStart(64, '0')}`,
    nonce,
  ])
}
