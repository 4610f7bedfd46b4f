/**
 * Identifies who stands behind a node's report that a kernel hung its device. The node's own
 * identity costs nothing.
 */
import type { TenantId } from '#shared/base/ids.ts'
import { toBase64Url } from '#shared/base/base64.ts'
import { macOf } from '#worker/platform/mac.ts'

export interface NodeBacking {
  readonly voucher: TenantId | null
  /** The connection's address; empty when unknown. */
  readonly address: string
}

/** Long enough to make collisions between reporters impossible in practice. */
const REPORTER_CHARS = 22

/** A name that reveals neither customer nor address without the secret. */
export async function reporterOf(
  { voucher, address }: NodeBacking,
  secret: string,
): Promise<string> {
  const who = voucher === null ? `network ${networkOf(address)}` : `tenant ${voucher}`
  return toBase64Url(await macOf(`reporter ${who}`, secret)).slice(0, REPORTER_CHARS)
}

/** What one party gets for free with a connection: an IPv4 address, or the 2^64 addresses of an IPv6 network. */
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
