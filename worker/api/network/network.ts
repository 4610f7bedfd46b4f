/** `GET /v1/network`: hubs, live nodes at country level, settlement state, and the caller's apparent place. */
import { Hono } from 'hono'
import type { NetworkNode } from '#shared/api/network.ts'
import { countryCode } from '#shared/law/region.ts'
import type { AppContext, AppEnv } from '#worker/gate/context.ts'
import { homeOf } from '#worker/protocols/durable-objects.ts'
import { hubAddress } from '#worker/api/nodes/hub-address.ts'
import type { LedgerSummary } from '#worker/protocols/ledger.ts'
import { optionalKey } from '#worker/gate/auth.ts'
import { observePlace } from '#worker/edge/place.ts'
import { readLedgers } from './readiness.ts'
import { hasScope } from '#worker/protocols/key-grant.ts'
import { liveHubs } from '#worker/dispatch/live-models.ts'

export const networkRoutes = new Hono<AppEnv>().get('/v1/network', optionalKey, describeNetwork)

async function describeNetwork(c: AppContext): Promise<Response> {
  const { config } = c.var
  const [live, settlement] = await Promise.all([liveHubs(c), summarise(c)])
  const seen = await observePlace(c.req.raw, config)
  return c.json({
    hubs: live.map(({ config: hub, status }) => ({
      hub: status.hub,
      jurisdiction: homeOf(hub.jurisdiction, config),
      peerId: status.peerId,
      hubKey: status.hubKey,
      multiaddr: hubAddress(c.req.raw, config, status),
      nodes: status.nodes.length,
    })),
    nodes: live.flatMap(({ status }) => status.nodes).map(mayAudit(c) ? asIs : atCountryLevel),
    settlement,
    you: { country: countryCode(seen.country), source: seen.source },
  })
}

/** Summarises the first hub's ledger, and the first fault of any ledger. */
async function summarise(c: AppContext): Promise<LedgerSummary> {
  const ledgers = await readLedgers(c)
  const first = ledgers[0]?.health ?? SILENT
  const faulty = ledgers.map(({ health }) => health ?? SILENT).find(({ fault }) => fault !== null)
  const { isPosting, pendingReceipts, settledReceipts, refusedReceipts, batches } = first
  const { fault = null, faultCode = null } = faulty ?? {}
  const counts = { pendingReceipts, settledReceipts, refusedReceipts, batches }
  // A Ledger that cannot reach its chain posts nothing, even if configured to.
  return { isPosting: isPosting && fault === null, fault, faultCode, ...counts }
}

const SILENT: LedgerSummary = {
  isPosting: false,
  fault: 'The Ledger does not answer.',
  faultCode: 'ledger.failed',
  pendingReceipts: 0,
  settledReceipts: 0,
  refusedReceipts: 0,
  batches: [],
}

function mayAudit(c: AppContext): boolean {
  const { caller } = c.var
  return caller !== undefined && hasScope(caller.scopes, 'audit')
}

const asIs = (node: NetworkNode): NetworkNode => node

/** Hides round trips and networks, which reveal more about a volunteer than the country. */
function atCountryLevel(node: NetworkNode): NetworkNode {
  const quarantine = node.quarantine === null ? null : 'It gets no work.'
  return { ...node, quarantine, evidenceReasons: [] }
}
