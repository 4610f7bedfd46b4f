/** What `GET /v1/models` says of a model, for nodes of every kind. */
import { describe, expect, it } from 'vitest'
import { ListedModelReply } from '#shared/api/models.ts'
import { NetworkNode } from '#shared/api/network.ts'
import { manifestDigest } from '#shared/job/model.ts'
import { describeModel } from '#worker/api/openai/models-list.ts'
import { EMBEDDING_MANIFEST } from '#test/support/hub/manifests.ts'

const digest = manifestDigest(EMBEDDING_MANIFEST)

function node(country: string, change: Partial<NetworkNode>): NetworkNode {
  return NetworkNode.parse({
    nodeId: '12D3KooWGRUTuF7kHGGLMpRGp3GX4QwvYQkFyQeGqYkRfVWGzSgk',
    kind: 'local',
    country,
    evidence: 'observed',
    source: 'edge',
    trust: 'public',
    adapter: { name: 'test', isSoftware: false },
    models: [],
    loadable: [],
    kernels: 'any',
    rttMs: 1,
    inFlight: 0,
    jobsDone: 0,
    quarantine: null,
    evidenceReasons: [],
    evidenceUntilMs: null,
    relaySuspected: false,
    ...change,
  })
}

const warm = (provider: string) => ({
  models: [{ id: EMBEDDING_MANIFEST.id, digest, provider, serviceMs: 1 }],
})

describe('a listed model', () => {
  it('is counted by country, warmth and provider, without the nodes that get no work', () => {
    const nodes = [
      node('DE', warm('webgpu')),
      node('DE', { loadable: [digest] }),
      node('FR', warm('cpu')),
      node('FR', warm('webgpu')),
      node('US', { ...warm('webgpu'), quarantine: 'It lied.' }),
      node('IN', {}),
    ]
    const listed = describeModel(EMBEDDING_MANIFEST, nodes)
    expect(ListedModelReply.parse(listed)).toMatchObject({
      id: 'embed-test',
      object: 'model',
      digest,
      nodes: 3,
      loadable: 1,
      status: 'warm',
      countries: [
        { country: 'FR', warm: 2, loadable: 0 },
        { country: 'DE', warm: 1, loadable: 1 },
      ],
      providers: { webgpu: 2, cpu: 1 },
      size_bytes: 1,
      context_tokens: null,
      price_micro_usd: 2,
    })
  })

  it('is cold where nodes could load it, and unavailable where none could', () => {
    expect(describeModel(EMBEDDING_MANIFEST, [node('DE', { loadable: [digest] })]).status).toBe(
      'cold',
    )
    expect(describeModel(EMBEDDING_MANIFEST, [node('DE', {})]).status).toBe('unavailable')
  })

  it('of another version by the same id counts for nothing', () => {
    const other = warm('cpu').models.map((model) => ({ ...model, digest: `0x${'11'.repeat(32)}` }))
    const nodes = [node('DE', { models: other as NetworkNode['models'] })]
    expect(describeModel(EMBEDDING_MANIFEST, nodes)).toMatchObject({ nodes: 0, countries: [] })
  })
})
