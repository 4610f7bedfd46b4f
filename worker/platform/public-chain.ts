/** Public facts about the settlement chain. The Ledger's own endpoint may contain a secret and stays private. */
import { z } from 'zod'
import type { PublicChain } from '#shared/api/network.ts'
import { Address } from '#shared/base/ids.ts'

const Vars = z.object({
  CHAIN_ID: z.coerce.number().int().min(0),
  SETTLEMENT_ADDRESS: z.union([z.literal(''), Address]),
  PUBLIC_RPC: z.union([z.literal(''), z.url({ protocol: /^https?$/ })]),
})

/** Null where nothing is settled. @throws on an invalid variable */
export function readPublicChain(env: object): PublicChain | null {
  const { CHAIN_ID: chainId, SETTLEMENT_ADDRESS: settlement, PUBLIC_RPC: rpc } = Vars.parse(env)
  if (settlement === '' || chainId === 0) return null
  return { chainId, settlement, rpc: rpc === '' ? null : rpc }
}
