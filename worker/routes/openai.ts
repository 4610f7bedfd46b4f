/** The part of OpenAI's API that Littoral has: embeddings and the list of models. */
import { Hono } from 'hono'
import { MANIFESTS } from '#shared/manifests.ts'
import { manifestDigest } from '#shared/model.ts'
import { countUnits } from '#shared/tensor.ts'
import type { AppContext, AppEnv } from '../context.ts'
import { decodeEmbeddings, EmbeddingsRequest, encodeEmbeddings } from '../formats/embeddings.ts'
import { parseBody } from '../formats/faults.ts'
import { optionalKey, requireScope } from '../middleware/auth.ts'
import { readJson } from '../middleware/body.ts'
import { checkIngress } from '../middleware/residency.ts'
import { countServing, findManifest, liveHubs } from './models.ts'
import { runJob } from './run-job.ts'

/** When the first of the manifests was published; OpenAI's clients want a time. */
const CREATED_SECONDS = 1_793_491_200

export const openaiRoutes = new Hono<AppEnv>()
  .get('/v1/models', optionalKey, listModels)
  .post('/v1/embeddings', requireScope('infer'), checkIngress, embed)

async function listModels(c: AppContext): Promise<Response> {
  const hubs = await liveHubs(c)
  const data = MANIFESTS.map((manifest) => ({
    id: manifest.id,
    object: 'model',
    created: CREATED_SECONDS,
    owned_by: 'littoral',
    task: manifest.task,
    digest: manifestDigest(manifest),
    nodes: countServing(hubs, manifest.id),
  }))
  return c.json({ object: 'list', data })
}

async function embed(c: AppContext): Promise<Response> {
  const request = parseBody(EmbeddingsRequest, await readJson(c.req.raw))
  const manifest = findManifest(request.model)
  const { headers, payload } = decodeEmbeddings(manifest, request)
  const { outcome, payload: bytes } = await runJob(
    c,
    {
      work: {
        kind: 'model',
        model: manifest.id,
        digest: manifestDigest(manifest),
        inputs: headers,
      },
      payload,
      units: countUnits(manifest, headers),
      priceMicroUsd: manifest.priceMicroUsd,
    },
    request,
  )
  return c.json(encodeEmbeddings({ outputs: outcome.answer.outputs, payload: bytes }, request))
}
