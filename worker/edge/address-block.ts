/** Defines what counts as one connecting party: an IPv4 /24, an IPv6 /64, or a tenant. */
import type { TenantId } from '#shared/base/ids.ts'
import { toBase64Url } from '#shared/base/base64.ts'
import { networkOf } from './reporter.ts'
import { macOf } from '#worker/platform/mac.ts'

const BLOCK_CHARS = 22

/** The block that one party usually holds: addresses are cheaper by the block than singly. */
export function addressBlock(address: string): string {
  const network = networkOf(address)
  return /^\d+\.\d+\.\d+\.\d+$/.test(network) ? network.replace(/\.\d+$/, '') : network
}

/** Names the block for a hub, which learns no address. A node that a tenant vouches for counts as the tenant's. */
export async function blockOf(
  { voucher, address }: { readonly voucher: TenantId | null; readonly address: string },
  secret: string,
): Promise<string> {
  const who = voucher === null ? `block ${addressBlock(address)}` : `tenant ${voucher}`
  return toBase64Url(await macOf(who, secret)).slice(0, BLOCK_CHARS)
}
