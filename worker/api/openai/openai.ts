/** OpenAI's API as far as Littoral has it: chat, completions, embeddings, models. */
import { Hono } from 'hono'
import { MANIFESTS } from '#shared/job/manifests.ts'
import { priceModel } from '#worker/api/oip/oip.ts'
import { findManifest } from '#worker/body/find-manifest.ts'
import { parseOpenBody } from '#worker/body/open-body.ts'
import { tellIgnored } from '#worker/body/tell-ignored.ts'
import { liveHubs } from '#worker/dispatch/live-models.ts'
import { answerJson } from '#worker/http/answer.ts'
import { runJob } from '#worker/dispatch/run-job.ts'
import { optionalKey } from '#worker/gate/auth.ts'
import { readJson } from '#worker/gate/body.ts'
import type { AppContext, AppEnv } from '#worker/gate/context.ts'
import { inference } from '#worker/gate/inference.ts'
import { CHAT_DIALECT } from './chat-answer.ts'
import { decodeChat, parseChat } from './chat.ts'
import { COMPLETION_DIALECT } from './completions-answer.ts'
import { decodeCompletion, parseCompletion } from './completions.ts'
import { littoralMember } from './dialect.ts'
import {
  decodeEmbeddings,
  EmbeddingsRequest,
  encodeEmbeddings,
  pointAtInput,
  type EmbeddingsResponse,
} from './embeddings.ts'
import { describeModel } from './models-list.ts'
import { answerText } from './text.ts'

export const openaiRoutes = new Hono<AppEnv>()
  .get('/v1/models', optionalKey, listModels)
  .get('/v1/models/:model', optionalKey, showModel)
  .post('/v1/chat/completions', ...inference, chat)
  .post('/v1/completions', ...inference, complete)
  .post('/v1/embeddings', ...inference, embed)

async function listModels(c: AppContext): Promise<Response> {
  const groups = await liveGroups(c)
  const data = MANIFESTS.map((manifest) => describeModel(manifest, groups))
  return c.json({ object: 'list', data })
}

async function showModel(c: AppContext): Promise<Response> {
  const manifest = findManifest(c.req.param('model') ?? '')
  return c.json(describeModel(manifest, await liveGroups(c)))
}

async function liveGroups(c: AppContext) {
  return (await liveHubs(c)).flatMap(({ groups }) => groups)
}

async function chat(c: AppContext): Promise<Response> {
  const request = tellIgnored(c, parseChat(await readJson(c)))
  const priced = decodeChat(findManifest(request.model), request)
  return await answerText(c, { priced, request }, CHAT_DIALECT)
}

async function complete(c: AppContext): Promise<Response> {
  const request = tellIgnored(c, parseCompletion(await readJson(c)))
  const priced = decodeCompletion(findManifest(request.model), request)
  return await answerText(c, { priced, request }, COMPLETION_DIALECT)
}

async function embed(c: AppContext): Promise<Response> {
  const request = tellIgnored(c, parseOpenBody(EmbeddingsRequest, await readJson(c)))
  const manifest = findManifest(request.model)
  const priced = priceModel(manifest, decodeEmbeddings(manifest, request))
  const job = await runJob(c, priced, request).catch((error: unknown) =>
    Promise.reject(pointAtInput(error, request)),
  )
  const body: EmbeddingsResponse = {
    ...encodeEmbeddings(job, request),
    littoral: littoralMember(job.outcome),
  }
  return answerJson(c, body)
}
