/** Suggests a country: the one in the page's address, the owner's last choice, or the one that the network observes. */
import { NetworkReply } from '#shared/api/network.ts'
import { LIMITS } from '#shared/base/limits.ts'
import { COUNTRIES } from '#shared/law/region.ts'
import type { NodeStorage } from './node/storage.ts'

/** `?place=DE` simulates a place for development; production servers ignore it. */
export function simulatedPlace(search: string): string | null {
  return knownCountry(new URLSearchParams(search).get('place'))
}

export interface ClaimSources {
  readonly simulated: string | null
  readonly seen: string | null
  readonly storage: Pick<NodeStorage, 'readClaim'>
}

export async function suggestClaim({ simulated, seen, storage }: ClaimSources) {
  return simulated ?? knownCountry(await storage.readClaim()) ?? seen
}

/** Asks for the country that the network observes for this connection; null when unknown. */
export async function observedCountry(
  origin: string,
  simulated: string | null,
): Promise<string | null> {
  if (simulated !== null) return simulated
  try {
    const signal = AbortSignal.timeout(LIMITS.openTimeoutMs)
    const response = await fetch(`${origin}/v1/network`, { signal })
    const reply = NetworkReply.pick({ you: true }).safeParse(await response.json())
    return knownCountry(reply.data?.you.country)
  } catch {
    return null
  }
}

function knownCountry(code: string | null | undefined): string | null {
  return code !== null && code !== undefined && COUNTRIES.includes(code) ? code : null
}
