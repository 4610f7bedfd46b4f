/** `POST /v1/completions`: a bare prompt, continued. */
import { Hono } from 'hono'
import type { AppContext, AppEnv } from '#worker/gate/context.ts'
import { COMPLETION_DIALECT } from './completions-answer.ts'
import { decodeCompletion, parseCompletion } from './completions.ts'
import { readJson } from '#worker/gate/body.ts'
import { inference } from '#worker/gate/inference.ts'
import { tellIgnored } from '#worker/body/tell-ignored.ts'
import { answerText } from './text.ts'
import { findManifest } from '#worker/body/find-manifest.ts'

export const completionsRoutes = new Hono<AppEnv>().post('/v1/completions', ...inference, complete)

async function complete(c: AppContext): Promise<Response> {
  const request = tellIgnored(c, parseCompletion(await readJson(c)))
  const priced = decodeCompletion(findManifest(request.model), request)
  return await answerText(c, { priced, request }, COMPLETION_DIALECT)
}
