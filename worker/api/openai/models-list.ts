/** Describes a model for `GET /v1/models`: OpenAI's members, and where it can run now. */
import { PROVIDERS } from '#shared/job/job.ts'
import { countryCode } from '#shared/law/region.ts'
import { offerKey, type NodeGroup, type WorkOffer } from '#worker/summary/hub-summary.ts'
import type { ModelManifest } from '#shared/job/model.ts'
import { manifestDigest, modelBytes } from '#shared/job/model.ts'

/** Publication of the first manifests; OpenAI's clients require a time. */
const CREATED_SECONDS = 1_793_491_200

export interface ModelPlace {
  country: string
  /** Nodes that have the model loaded, and nodes that could load it. */
  warm: number
  loadable: number
}

/** @param groups live nodes by hub and kind; quarantined ones offer nothing */
export function describeModel(manifest: ModelManifest, groups: readonly NodeGroup[]) {
  const digest = manifestDigest(manifest)
  const key = offerKey(digest)
  const offers = groups.flatMap((group) => group.offers.filter((offer) => offer.key === key))
  const countries = placesOf(offers)
  const warm = countries.reduce((sum, place) => sum + place.warm, 0)
  const loadable = countries.reduce((sum, place) => sum + place.loadable, 0)
  return {
    id: manifest.id,
    object: 'model' as const,
    created: CREATED_SECONDS,
    owned_by: 'littoral',
    title: manifest.title,
    task: manifest.task,
    licence: manifest.licence,
    digest,
    size_bytes: modelBytes(manifest),
    context_tokens: manifest.contextTokens ?? null,
    unit: manifest.unit,
    price_micro_usd: manifest.priceMicroUsd,
    nodes: warm,
    loadable,
    status: statusOf(warm, loadable),
    countries,
    providers: providersOf(offers),
  }
}

function statusOf(warm: number, loadable: number): 'warm' | 'cold' | 'unavailable' {
  if (warm > 0) return 'warm'
  return loadable > 0 ? 'cold' : 'unavailable'
}

function placesOf(offers: readonly WorkOffer[]): ModelPlace[] {
  const places = new Map<number, ModelPlace>()
  for (const { countries } of offers)
    for (const [bit, { warm, cold }] of countries) {
      const place = places.get(bit) ?? { country: countryCode(bit), warm: 0, loadable: 0 }
      place.warm += warm
      place.loadable += cold
      places.set(bit, place)
    }
  return [...places.values()].toSorted(
    (a, b) => b.warm - a.warm || (a.country < b.country ? -1 : 1),
  )
}

/** Warm nodes by provider, e.g. `{ webgpu: 3, cpu: 1 }`. */
function providersOf(offers: readonly WorkOffer[]): Record<string, number> {
  const sums = PROVIDERS.map((provider, at): [string, number] => [
    provider,
    offers.reduce((sum, { providers }) => sum + (providers[at] ?? 0), 0),
  ])
  return Object.fromEntries(sums.filter(([, nodes]) => nodes > 0))
}
