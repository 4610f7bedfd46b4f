/** `POST /v1/embeddings`, as OpenAI's clients call it. */
import { Hono } from 'hono'
import { manifestDigest } from '#shared/job/model.ts'
import { countUnits } from '#shared/job/tensor.ts'
import type { AppContext, AppEnv } from '#worker/gate/context.ts'
import { littoralMember } from './dialect.ts'
import {
  decodeEmbeddings,
  EmbeddingsRequest,
  encodeEmbeddings,
  pointAtInput,
  type EmbeddingsResponse,
} from './embeddings.ts'
import { parseOpenBody } from '#worker/body/open-body.ts'
import { readJson } from '#worker/gate/body.ts'
import { inference } from '#worker/gate/inference.ts'
import { tellIgnored } from '#worker/body/tell-ignored.ts'
import { runJob } from '#worker/dispatch/run-job.ts'
import { findManifest } from '#worker/body/find-manifest.ts'

export const embeddingsRoutes = new Hono<AppEnv>().post('/v1/embeddings', ...inference, embed)

async function embed(c: AppContext): Promise<Response> {
  const request = tellIgnored(c, parseOpenBody(EmbeddingsRequest, await readJson(c)))
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
  ).catch((error: unknown) => Promise.reject(pointAtInput(error, request)))
  const answer = { outputs: outcome.answer.outputs, payload: bytes }
  const body: EmbeddingsResponse = {
    ...encodeEmbeddings(answer, request),
    littoral: littoralMember(outcome),
  }
  return c.json(body)
}
