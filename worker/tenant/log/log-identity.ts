/** Reads the domain and the signing key that all logs of this deployment share. */
import { z } from 'zod'
import { domainOf } from '#shared/proof/domain.ts'
import { Address, Bytes32 } from '#shared/base/ids.ts'
import type { LogIdentity } from './tenant-log.ts'

const Vars = z.object({
  CHAIN_ID: z.coerce.number().int().min(0),
  SETTLEMENT_ADDRESS: z.union([z.literal(''), Address]),
  LOG_KEY: z.union([z.literal(''), Bytes32]).default(''),
})

/** Without a chain the log's domain names no contract. */
export function readLogIdentity(env: unknown): LogIdentity {
  const { CHAIN_ID: chainId, SETTLEMENT_ADDRESS: contract, LOG_KEY: seed } = Vars.parse(env)
  return { domain: domainOf(chainId, contract.toLowerCase()), seed: seed === '' ? undefined : seed }
}
