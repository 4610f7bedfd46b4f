/** `GET /v1/nodes/{id}/evidence`: the evidence of a connected node's place, for auditors. */
import { Hono } from 'hono'
import { AppError } from '#shared/base/errors.ts'
import { NodeId } from '#shared/base/ids.ts'
import type { AppContext, AppEnv } from '#worker/gate/context.ts'
import { openHub } from '#worker/protocols/durable-objects.ts'
import { requireScope } from '#worker/gate/auth.ts'

export const evidenceRoutes = new Hono<AppEnv>().get(
  '/v1/nodes/:id/evidence',
  requireScope('audit'),
  showEvidence,
)

async function showEvidence(c: AppContext): Promise<Response> {
  const { config } = c.var
  const id = NodeId.safeParse(c.req.param('id'))
  if (!id.success) throw notConnected()
  const records = await Promise.all(
    config.hubs.map((hub) => openHub(c.env, hub, config).evidence(id.data)),
  )
  const record = records.find((each) => each !== null)
  if (record === undefined) throw notConnected()
  return c.json(record)
}

function notConnected(): AppError {
  return new AppError(
    'not_found',
    'No such node is connected now; receipts keep the evidence of their time.',
  )
}
