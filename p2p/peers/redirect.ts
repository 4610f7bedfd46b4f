/** Follows a full hub's hint to another hub: the same address with that hub's name and peer id. */
import { multiaddr, type Multiaddr } from '@multiformats/multiaddr'
import { errorCode, toAppError } from '#shared/base/errors.ts'

/** Hubs in a row that may send a node on. After that it asks for a new admission. */
export const MOST_REDIRECTS = 3

/** `/…/http-path/p2p%2FHUB%3Ftoken%3D…/p2p/PEER`, as admission writes it. */
const ADDRESS = /^(.+\/http-path\/p2p%2F)[a-z0-9-]+(%3F[^/]*)?\/p2p\/[^/]+$/i

/**
 * The address at the hub that the refusal names; undefined for any other error or form of address. Host and token stay,
 * so a hub can send a node to no other network.
 */
export function redirected(address: Multiaddr, error: unknown): Multiaddr | undefined {
  if (errorCode(error) !== 'hub_full') return undefined
  const { next } = toAppError(error).meta
  const [, before, query = ''] = ADDRESS.exec(address.toString()) ?? []
  if (next === undefined || before === undefined) return undefined
  return multiaddr(`${before}${next.hub}${query}/p2p/${next.peerId}`)
}
