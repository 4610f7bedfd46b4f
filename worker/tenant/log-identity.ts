/** Which log a tenant of this deployment keeps, and the key that signs it: one for the whole deployment. */
import { z } from 'zod'
import { Address, Bytes32 } from '#shared/ids.ts'
import type { LogIdentity } from './audit-reader.ts'

const Vars = z.object({
  CHAIN_ID: z.coerce.number().int().min(0),
  SETTLEMENT_ADDRESS: z.union([z.literal(''), Address]),
  LOG_KEY: z.union([z.literal(''), Bytes32]).default(''),
})

const NO_CONTRACT: Address = `0x${'0'.repeat(40)}`

/** Without a chain the log is that of no contract. */
export function readLogIdentity(env: unknown): LogIdentity {
  const { CHAIN_ID: chainId, SETTLEMENT_ADDRESS: contract, LOG_KEY: seed } = Vars.parse(env)
  const verifyingContract = contract === '' ? NO_CONTRACT : Address.parse(contract.toLowerCase())
  return { domain: { chainId, verifyingContract }, seed: seed === '' ? undefined : seed }
}
