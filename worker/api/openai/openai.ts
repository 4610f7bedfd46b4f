/** OpenAI's API as far as Littoral has it; one file a route. */
import { Hono } from 'hono'
import type { AppEnv } from '#worker/gate/context.ts'
import { chatRoutes } from './chat-route.ts'
import { completionsRoutes } from './completions-route.ts'
import { embeddingsRoutes } from './embeddings-route.ts'
import { modelsListRoutes } from './models-list-route.ts'

export const openaiRoutes = new Hono<AppEnv>()
  .route('/', modelsListRoutes)
  .route('/', chatRoutes)
  .route('/', completionsRoutes)
  .route('/', embeddingsRoutes)
