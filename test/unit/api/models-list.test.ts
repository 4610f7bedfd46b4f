/** Entries of `GET /v1/models`, for all kinds of nodes. */
import { describe, expect, it } from 'vitest'
import { ListedModelReply } from '#shared/api/models.ts'
import type { Provider } from '#shared/job/job.ts'
import { manifestDigest } from '#shared/job/model.ts'
import { describeModel } from '#worker/api/openai/models-list.ts'
import type { SummarisedNode } from '#worker/summary/summarise.ts'
import { factsIn, nodeIn, summaryOf } from '#test/support/summary/summaries.ts'
import { EMBEDDING_MANIFEST } from '#test/support/hub/manifests.ts'

const digest = manifestDigest(EMBEDDING_MANIFEST)

/** Groups of a hub with these nodes. */
const hub = (...nodes: SummarisedNode[]) => summaryOf({ hub: 'hub-0', nodes }).groups
const warm = (provider: Provider) => ({ models: [{ digest, provider }] })

describe('a listed model', () => {
  it('counts nodes by country, warmth and provider, without quarantined ones', () => {
    const one = hub(
      nodeIn('DE', warm('webgpu')),
      nodeIn('DE', { loadable: [digest] }),
      nodeIn('FR', warm('cpu')),
      nodeIn('US', { ...warm('webgpu'), facts: factsIn('US', { quarantined: true }) }),
      nodeIn('IN', {}),
    )
    const other = hub(
      nodeIn('FR', { ...warm('webgpu'), facts: factsIn('FR', { trust: 'verified' }) }),
    )
    const listed = describeModel(EMBEDDING_MANIFEST, [...one, ...other])
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
    expect(
      describeModel(EMBEDDING_MANIFEST, hub(nodeIn('DE', { loadable: [digest] }))).status,
    ).toBe('cold')
    expect(describeModel(EMBEDDING_MANIFEST, hub(nodeIn('DE'))).status).toBe('unavailable')
  })

  it('is not counted by the id of another version', () => {
    const other = [{ digest: `0x${'11'.repeat(32)}` as const, provider: 'cpu' as const }]
    const groups = hub(nodeIn('DE', { models: other }))
    expect(describeModel(EMBEDDING_MANIFEST, groups)).toMatchObject({ nodes: 0, countries: [] })
  })
})
