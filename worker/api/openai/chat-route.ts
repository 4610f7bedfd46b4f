/** `POST /v1/chat/completions`, as OpenAI's clients call it. */
import { Hono } from 'hono'
import type { AppContext, AppEnv } from '#worker/gate/context.ts'
import { CHAT_DIALECT } from './chat-answer.ts'
import { decodeChat, parseChat } from './chat.ts'
import { readJson } from '#worker/gate/body.ts'
import { inference } from '#worker/gate/inference.ts'
import { tellIgnored } from '#worker/body/tell-ignored.ts'
import { answerText } from './text.ts'
import { findManifest } from '#worker/body/find-manifest.ts'

export const chatRoutes = new Hono<AppEnv>().post('/v1/chat/completions', ...inference, chat)

async function chat(c: AppContext): Promise<Response> {
  const request = tellIgnored(c, parseChat(await readJson(c)))
  const priced = decodeChat(findManifest(request.model), request)
  return await answerText(c, { priced, request }, CHAT_DIALECT)
}
