/** `GET /v1/models`: OpenAI's list of models, with what Littoral knows of each beside it. */
import { Hono } from 'hono'
import { MANIFESTS } from '#shared/manifests.ts'
import { manifestDigest } from '#shared/model.ts'
import type { AppContext, AppEnv } from '../context.ts'
import { optionalKey } from '../middleware/auth.ts'
import { countServing, liveHubs } from './models.ts'

/** When the first of the manifests was published; OpenAI's clients want a time. */
const CREATED_SECONDS = 1_793_491_200

export const modelsListRoutes = new Hono<AppEnv>().get('/v1/models', optionalKey, listModels)

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
