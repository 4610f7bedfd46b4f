/** What everybody may know of the chain that this deployment settles on. The Ledger's own endpoint may hold a secret and stays inside. */
import { z } from 'zod'
import { Address } from '#shared/base/ids.ts'

const Vars = z.object({
  CHAIN_ID: z.coerce.number().int().min(0),
  SETTLEMENT_ADDRESS: z.union([z.literal(''), Address]),
  PUBLIC_RPC: z.union([z.literal(''), z.url({ protocol: /^https?$/ })]),
})

export const PublicChain = z.object({
  chainId: z.int(),
  settlement: Address,
  /** JSON-RPC endpoint that anybody may read the chain at; null where the deployment names none. */
  rpc: z.string().nullable(),
})
export type PublicChain = z.infer<typeof PublicChain>

/** Null where nothing is settled. @throws when a var is not one of its words */
export function readPublicChain(env: object): PublicChain | null {
  const { CHAIN_ID: chainId, SETTLEMENT_ADDRESS: settlement, PUBLIC_RPC: rpc } = Vars.parse(env)
  if (settlement === '' || chainId === 0) return null
  return { chainId, settlement, rpc: rpc === '' ? null : rpc }
}
