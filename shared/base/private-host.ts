/** Recognises hosts that are not on the public internet: this machine, its networks, and the many ways to write them. */

/** Names that mean a private network by convention or by RFC 6761, 6762 and 8375. */
const PRIVATE_NAMES = /(^|\.)(localhost|local|internal|intranet|lan|corp|home|private|home\.arpa)$/
/** Non-public address blocks of https://www.iana.org/assignments/iana-ipv4-special-registry: first address, prefix length. */
const PRIVATE_V4: readonly (readonly [string, number])[] = [
  ['0.0.0.0', 8],
  ['10.0.0.0', 8],
  ['100.64.0.0', 10],
  ['127.0.0.0', 8],
  ['169.254.0.0', 16],
  ['172.16.0.0', 12],
  ['192.0.0.0', 24],
  ['192.0.2.0', 24],
  ['192.88.99.0', 24],
  ['192.168.0.0', 16],
  ['198.18.0.0', 15],
  ['198.51.100.0', 24],
  ['203.0.113.0', 24],
  ['224.0.0.0', 3],
]

/**
 * Tells whether a host is private. A name without dots counts as private: it may mean any host of this network.
 * @param hostname as URL gives it: IPv4 in any notation is already `a.b.c.d`, IPv6 stands in brackets
 */
export function isPrivateHost(hostname: string): boolean {
  const name = hostname.replace(/\.$/, '').toLowerCase()
  // Only 2000::/3 of IPv6 is public, and parts of it carry IPv4: mapped, NAT64, 6to4 and Teredo addresses.
  if (name.startsWith('[')) return !/^\[2[0-9a-f]{3}:|^\[3[0-9a-f]{3}:/.test(name) || isMapped(name)
  const v4 = parseV4(name)
  if (v4 !== undefined) {
    return PRIVATE_V4.some(([first, length]) => v4 >>> (32 - length) === prefixOf(first, length))
  }
  return !name.includes('.') || PRIVATE_NAMES.test(name)
}

/** Tells whether a host, as URL gives it, is an address rather than a name. */
export function isAddress(hostname: string): boolean {
  return hostname.startsWith('[') || parseV4(hostname) !== undefined
}

function isMapped(name: string): boolean {
  return name.startsWith('[2002:') || name.startsWith('[2001:0:') || name.startsWith('[2001::')
}

function prefixOf(address: string, length: number): number {
  return (parseV4(address) ?? 0) >>> (32 - length)
}

function parseV4(text: string): number | undefined {
  if (!/^\d{1,3}(\.\d{1,3}){3}$/.test(text)) return undefined
  return text.split('.').reduce((sum, part) => sum * 256 + Number(part), 0)
}
