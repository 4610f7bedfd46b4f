/** `GET /v1/models`: OpenAI's list of models, with where and how warm each is beside it. */
import { Hono } from 'hono'
import { MANIFESTS } from '#shared/job/manifests.ts'
import type { AppContext, AppEnv } from '#worker/gate/context.ts'
import { describeModel } from './models-list.ts'
import { optionalKey } from '#worker/gate/auth.ts'
import { liveHubs } from '#worker/dispatch/live-models.ts'
import { findManifest } from '#worker/body/find-manifest.ts'

export const modelsListRoutes = new Hono<AppEnv>()
  .get('/v1/models', optionalKey, listModels)
  .get('/v1/models/:model', optionalKey, showModel)

async function listModels(c: AppContext): Promise<Response> {
  const nodes = await liveNodes(c)
  const data = MANIFESTS.map((manifest) => describeModel(manifest, nodes))
  return c.json({ object: 'list', data })
}

async function showModel(c: AppContext): Promise<Response> {
  const manifest = findManifest(c.req.param('model') ?? '')
  return c.json(describeModel(manifest, await liveNodes(c)))
}

async function liveNodes(c: AppContext) {
  return (await liveHubs(c)).flatMap(({ status }) => status.nodes)
}
