/** Describes a model for `GET /v1/models`: OpenAI's members, and where it can run now. */
import type { NetworkNode } from '#shared/api/network.ts'
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

/** @param nodes live nodes; quarantined ones are not counted */
export function describeModel(manifest: ModelManifest, nodes: readonly NetworkNode[]) {
  const digest = manifestDigest(manifest)
  const serving = nodes.filter(({ quarantine }) => quarantine === null)
  const warm = serving.filter(({ models }) => models.some((model) => model.digest === digest))
  const loadable = serving.filter((node) => node.loadable.includes(digest))
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
    nodes: warm.length,
    loadable: loadable.length,
    status: statusOf(warm.length, loadable.length),
    countries: placesOf(warm, loadable),
    providers: providersOf(digest, warm),
  }
}

function statusOf(warm: number, loadable: number): 'warm' | 'cold' | 'unavailable' {
  if (warm > 0) return 'warm'
  return loadable > 0 ? 'cold' : 'unavailable'
}

function placesOf(warm: readonly NetworkNode[], loadable: readonly NetworkNode[]): ModelPlace[] {
  const places = new Map<string, ModelPlace>()
  const count = (nodes: readonly NetworkNode[], what: 'warm' | 'loadable') => {
    for (const { country } of nodes) {
      const place = places.get(country) ?? { country, warm: 0, loadable: 0 }
      place[what] += 1
      places.set(country, place)
    }
  }
  count(warm, 'warm')
  count(loadable, 'loadable')
  return [...places.values()].toSorted(
    (a, b) => b.warm - a.warm || (a.country < b.country ? -1 : 1),
  )
}

/** Warm nodes by provider, e.g. `{ webgpu: 3, cpu: 1 }`. */
function providersOf(digest: string, warm: readonly NetworkNode[]): Record<string, number> {
  const providers: Record<string, number> = {}
  for (const { models } of warm) {
    const provider = models.find((model) => model.digest === digest)?.provider
    if (provider !== undefined) providers[provider] = (providers[provider] ?? 0) + 1
  }
  return providers
}
