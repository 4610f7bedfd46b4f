/** `GET /v1/chain`: where this deployment settles. */
import { Hono } from 'hono'
import { readPublicChain } from '#worker/platform/public-chain.ts'
import type { AppContext, AppEnv } from '#worker/gate/context.ts'
import { AppError } from '#shared/base/errors.ts'

export const chainRoutes = new Hono<AppEnv>().get('/v1/chain', showChain)

function showChain(c: AppContext): Response {
  const chain = readPublicChain(c.env)
  if (chain === null) throw new AppError('not_found', 'This deployment settles on no chain.')
  return c.json(chain)
}
