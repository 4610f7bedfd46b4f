/** Receipts, earnings, and the chain that they are settled on. */
import { Hono } from 'hono'
import { z } from 'zod'
import { AppError } from '#shared/base/errors.ts'
import type { Bytes32 } from '#shared/base/ids.ts'
import type { ReceiptDocument, SignedReceipt } from '#shared/receipt/receipt.ts'
import type { Config } from '#worker/platform/config.ts'
import { deploymentOf, everyHub, hubNamed } from '#worker/dispatch/hubs.ts'
import type { HubName } from '#worker/summary/hub-region.ts'
import { readPublicChain } from '#worker/platform/public-chain.ts'
import { callerOf, ownTenant, type AppContext, type AppEnv } from '#worker/gate/context.ts'
import { openHub, openLedger, homeOf } from '#worker/protocols/durable-objects.ts'
import { AskedBytes32 } from '#worker/body/asked-id.ts'
import { parseBody } from '#worker/body/faults.ts'
import { takesQuery } from '#worker/http/known-names.ts'
import type { LedgerApi } from '#worker/protocols/ledger.ts'
import { requireScope } from '#worker/gate/auth.ts'

const AskedKey = z.strictObject({ x: AskedBytes32, y: AskedBytes32 })

export const receiptRoutes = new Hono<AppEnv>()
  .get('/v1/receipts/:id', requireScope('audit', 'infer'), getReceipt)
  .get('/v1/earnings', takesQuery('x', 'y'), getEarnings)
  .get('/v1/chain', showChain)

async function getReceipt(c: AppContext): Promise<Response> {
  const id = AskedBytes32.safeParse(c.req.param('id'))
  if (!id.success) throw notFound()
  return c.json((await findSettled(c, id.data)) ?? (await findPending(c, id.data)))
}

/** A receipt that the tenant has, with its state in the ledger. */
async function findSettled(c: AppContext, id: Bytes32): Promise<ReceiptDocument | undefined> {
  const { config } = c.var
  const recorded = await ownTenant(c).receipts.find(id)
  if (recorded === null) return undefined
  const { ticket } = recorded.receipt.receipt
  const hub = hubNamed(config, ticket.hub)
  const [state] = await hubLedger(c, hub).status([id])
  return {
    ...recorded,
    status: state?.status ?? 'pending',
    refusal: state?.refusal ?? null,
    settlement: state?.settlement ?? null,
    settlesByMs: settlesBy(recorded.receipt, config),
  }
}

function settlesBy({ receipt }: SignedReceipt, { settlesWithinMs }: Config): number | null {
  return settlesWithinMs == null ? null : receipt.finishedAtMs + settlesWithinMs
}

/** A receipt that a hub has not delivered yet. @throws {AppError} not_found, also for other tenants' receipts */
async function findPending(c: AppContext, id: Bytes32): Promise<ReceiptDocument> {
  const { config } = c.var
  const caller = callerOf(c)
  for (const hub of await everyHub(deploymentOf(c))) {
    const document = await openHub(c.env, hub, config).receipt(caller.tenant, id)
    if (document !== null) return { ...document, settlesByMs: settlesBy(document.receipt, config) }
  }
  throw notFound()
}

/** Public, like the data on the chain: a receipt key's earnings, and the proof to claim them. */
async function getEarnings(c: AppContext): Promise<Response> {
  const key = parseBody(AskedKey, { x: c.req.query('x'), y: c.req.query('y') })
  return c.json(await hubLedger(c, c.var.config.regions[0]).earnings(key))
}

function hubLedger(c: AppContext, hub: Pick<HubName, 'jurisdiction'> | undefined): LedgerApi {
  const config: Config = c.var.config
  return openLedger(c.env, homeOf(hub?.jurisdiction ?? 'any', config), config)
}

function showChain(c: AppContext): Response {
  const chain = readPublicChain(c.env)
  if (chain === null) throw new AppError('not_found', 'This deployment settles on no chain.')
  return c.json(chain)
}

function notFound(): AppError {
  return new AppError('not_found', 'This key has no such receipt.')
}
