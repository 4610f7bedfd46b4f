/** Names the party behind a connection, for reports and seats. A node's own identity costs nothing. */
import type { TenantId } from '#shared/base/ids.ts'
import { toBase64Url } from '#shared/base/base64.ts'
import { macOf } from '#worker/platform/mac.ts'

export interface NodeBacking {
  readonly voucher: TenantId | null
  /** The connection's address; empty when unknown. */
  readonly address: string
}

/** Long enough to rule out collisions. */
const NAME_CHARS = 22

/** Names the reporter of a kernel that hung a device. Without the secret the name reveals neither customer nor address. */
export function reporterOf({ voucher, address }: NodeBacking, secret: string): Promise<string> {
  const who = voucher === null ? `network ${networkOf(address)}` : `tenant ${voucher}`
  return nameOf(`reporter ${who}`, secret)
}

/** Names the group that shares a hub's seats: an address block, or the tenant that vouches for the node. */
export function blockOf({ voucher, address }: NodeBacking, secret: string): Promise<string> {
  return nameOf(voucher === null ? `block ${addressBlock(address)}` : `tenant ${voucher}`, secret)
}

async function nameOf(party: string, secret: string): Promise<string> {
  return toBase64Url(await macOf(party, secret)).slice(0, NAME_CHARS)
}

/** The block that one party usually holds: an IPv4 /24 or an IPv6 /64. */
export function addressBlock(address: string): string {
  const network = networkOf(address)
  return /^\d+\.\d+\.\d+\.\d+$/.test(network) ? network.replace(/\.\d+$/, '') : network
}

/** The addresses that one party gets with a connection: one IPv4 address, or 2^64 of an IPv6 network. */
export function networkOf(address: string): string {
  const bare = address.replace(/^\[|\]$|%.*$/g, '').toLowerCase()
  const mapped = /^(?:::|(?:0:){5})ffff:(\d+\.\d+\.\d+\.\d+)$/.exec(bare)?.[1]
  if (mapped !== undefined) return mapped
  if (!bare.includes(':')) return bare
  const [head = '', tail] = bare.split('::')
  const groups = head === '' ? [] : head.split(':')
  const last = tail === undefined || tail === '' ? [] : tail.split(':')
  if (tail !== undefined) while (groups.length + last.length < 8) groups.push('0')
  return [...groups, ...last]
    .slice(0, 4)
    .map((group) => group.replace(/^0+(?=.)/, ''))
    .join(':')
}
