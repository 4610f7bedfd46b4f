/** Evidence for tests: observations, and echoes signed by anchors of known places. */
import { newIdentity, peerIdOf } from '#p2p/peers/node.ts'
import { signEcho, type PlaceObservation, type SignedEcho } from '#shared/place/evidence.ts'
import type { NodeId } from '#shared/base/ids.ts'
import { createSigner, generateSigningKey } from '#shared/proof/signature.ts'

export const CITIES = {
  frankfurt: { lat: 50.11, lon: 8.68 },
  amsterdam: { lat: 52.37, lon: 4.9 },
  warsaw: { lat: 52.23, lon: 21.01 },
  ashburn: { lat: 39.04, lon: -77.49 },
} as const
export type City = keyof typeof CITIES

export function seenIn(country: string | null, change: Partial<PlaceObservation> = {}) {
  const source = country === null ? 'none' : 'edge'
  const seen = { country, source, asn: 3320, network: 'residential', listVersion: 20_261_101 }
  return { ...seen, ...change } as PlaceObservation
}

export interface EchoMaker {
  readonly nodeId: NodeId
  /** The anchor's signature is real; the node's has only the right shape. */
  echo(
    city: City,
    minRttMs: number,
    change?: Partial<SignedEcho['statement']>,
    /** The anchor whose key signs. @default the city's own */
    by?: City,
  ): Promise<SignedEcho>
}

export async function createEchoMaker(): Promise<EchoMaker> {
  const signers = new Map(
    await Promise.all(
      Object.keys(CITIES).map(
        async (city) => [city, await createSigner(await generateSigningKey(false))] as const,
      ),
    ),
  )
  const nodeId = peerIdOf(await newIdentity())
  const anchorPeerId = peerIdOf(await newIdentity())
  return {
    nodeId,
    echo(city, minRttMs, change = {}, by = city) {
      const signer = signers.get(by)
      if (signer === undefined) throw new Error(`there is no anchor in ${city}`)
      return signEcho(
        {
          version: 1,
          nodeId,
          anchor: `hub-${city}`,
          anchorPeerId,
          place: { ...CITIES[city], slackKm: 0, isSimulated: false },
          minRttMs,
          transportRttMs: null,
          samples: 16,
          nonce: `0x${'5'.repeat(64)}`,
          nodeSignature: `0x${'7'.repeat(128)}`,
          measuredAtMs: NOW_MS,
          ...change,
        },
        signer,
      )
    },
  }
}

export const NOW_MS = 1_800_000_000_000
