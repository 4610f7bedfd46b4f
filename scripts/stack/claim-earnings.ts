/** Pays out a node's earnings: its receipt key signs the address, and anyone can send the claim. */
import { privateKeyToAccount } from 'viem/accounts'
import type { Hex } from 'viem'
import type { z } from 'zod'
import type { EarningsReply } from '#shared/api/network.ts'
import type { Address, Bytes32 } from '#shared/base/ids.ts'
import { SETTLEMENT_ABI } from '#shared/receipt/settlement-abi.ts'
import { payoutDigest } from '#shared/receipt/settlement.ts'
import type { Signer } from '#shared/proof/signature.ts'
import { connect, send } from './chain.ts'

export interface ClaimOptions {
  readonly rpc: string
  readonly settlement: Address
  /** The node's receipt key. */
  readonly signer: Signer
  /** The member `claimable` of the Ledger's earnings. */
  readonly claimable: NonNullable<z.infer<typeof EarningsReply>['claimable']>
  /** Where the money goes. */
  readonly to: Address
  /** Key of the account that sends the transaction and pays its gas. */
  readonly senderKey: Hex
}

export interface ClaimResult {
  readonly transactionHash: Bytes32
  readonly paidMicroUsd: bigint
}

/** Claims all settled earnings. @throws with the contract's error, `AlreadyPaid` for a leaf that was claimed before */
export async function claimEarnings(options: ClaimOptions): Promise<ClaimResult> {
  const { rpc, settlement, signer, claimable, to } = options
  const { reader } = connect(rpc)
  const key = signer.publicKey
  const at = { address: settlement, abi: SETTLEMENT_ABI } as const
  const [paid, nonce] = await reader.readContract({ ...at, functionName: 'payee', args: [key] })
  const domain = { chainId: await reader.getChainId(), verifyingContract: settlement }
  const signature = await signer.sign(payoutDigest(domain, { key, to, nonce }))
  const halves = { r: signature.slice(0, 66), s: `0x${signature.slice(66)}` }
  const cumulative = BigInt(claimable.cumulativeMicroUsd)
  const { index, size, proof: path } = claimable
  const transactionHash = await send(rpc, privateKeyToAccount(options.senderKey), {
    ...at,
    functionName: 'claim',
    args: [key, cumulative, { index: BigInt(index), size: BigInt(size), path }, to, halves],
  })
  return { transactionHash, paidMicroUsd: cumulative - paid }
}
