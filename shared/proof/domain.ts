/** The chain and contract that a signature is for. */
import { z } from 'zod'
import { Address } from '#shared/base/ids.ts'

export const Domain = z.strictObject({ chainId: z.int().min(0), verifyingContract: Address })
export type Domain = Readonly<z.infer<typeof Domain>>

/** Domain of a deployment that settles on no chain, and of what no chain owns. */
export const NO_DOMAIN: Domain = { chainId: 0, verifyingContract: `0x${'0'.repeat(40)}` }

/** The domain that a deployment's settings name. @param settlement empty where there is no contract */
export function domainOf(chainId: number, settlement: string): Domain {
  if (settlement === '') return NO_DOMAIN
  return { chainId, verifyingContract: Address.parse(settlement) }
}

export function isNoDomain(domain: Domain): boolean {
  return isSameDomain(domain, NO_DOMAIN)
}

export function isSameDomain(a: Domain, b: Domain): boolean {
  return domainName(a) === domainName(b)
}

/** `chainId/contract` in lower case: two domains with the same name are the same. */
export function domainName({ chainId, verifyingContract }: Domain): string {
  return `${chainId}/${verifyingContract.toLowerCase()}`
}
