/** What is counted as one party that connects: an IPv4 /24, an IPv6 /64, or a tenant. */
import type { TenantId } from '#shared/base/ids.ts'
import { toBase64Url } from '#shared/base/base64.ts'
import { networkOf } from './reporter.ts'
import { macOf } from '#worker/platform/mac.ts'

const BLOCK_CHARS = 22

/** What one party gets with a connection, and a little more: addresses cost less by the block than one by one. */
export function addressBlock(address: string): string {
  const network = networkOf(address)
  return /^\d+\.\d+\.\d+\.\d+$/.test(network) ? network.replace(/\.\d+$/, '') : network
}

/** The same as a name for a hub, which learns no address; a node that a tenant vouches for counts as the tenant's. */
export async function blockOf(
  { voucher, address }: { readonly voucher: TenantId | null; readonly address: string },
  secret: string,
): Promise<string> {
  const who = voucher === null ? `block ${addressBlock(address)}` : `tenant ${voucher}`
  return toBase64Url(await macOf(who, secret)).slice(0, BLOCK_CHARS)
}
