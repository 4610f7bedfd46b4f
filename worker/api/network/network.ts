/** `GET /v1/network`: hubs, counts of nodes, settlement state, the caller's apparent place; and the nodes hub by hub. */
import { Hono } from 'hono'
import type { NetworkGroup, NetworkNode } from '#shared/api/network.ts'
import { AppError } from '#shared/base/errors.ts'
import { countryCode } from '#shared/law/region.ts'
import type { AppContext, AppEnv } from '#worker/gate/context.ts'
import { homeOf, openHub } from '#worker/protocols/durable-objects.ts'
import { hubAddress } from '#worker/api/nodes/hub-address.ts'
import type { LedgerSummary } from '#worker/protocols/ledger.ts'
import { optionalKey } from '#worker/gate/auth.ts'
import { observePlace } from '#worker/edge/place.ts'
import { readLedgers } from './readiness.ts'
import { hasScope } from '#worker/protocols/key-grant.ts'
import { deploymentOf, hubsToday, knownHubs } from '#worker/dispatch/hubs.ts'
import { liveHubs } from '#worker/dispatch/live-models.ts'
import { takesQuery } from '#worker/http/known-names.ts'
import type { NodeGroup } from '#worker/summary/hub-summary.ts'

export const networkRoutes = new Hono<AppEnv>()
  .get('/v1/network', optionalKey, describeNetwork)
  .get('/v1/network/nodes', optionalKey, takesQuery('hub'), listNodes)

/** From the hubs' summaries, so it may be some seconds old. */
async function describeNetwork(c: AppContext): Promise<Response> {
  const { config } = c.var
  const [live, settlement] = await Promise.all([liveHubs(c), summarise(c)])
  const seen = await observePlace(c.req.raw, config)
  return c.json({
    hubs: live.map(({ name: hub, jurisdiction, peerId, hubKey, nodes }) => ({
      hub,
      jurisdiction: homeOf(jurisdiction, config),
      peerId,
      hubKey,
      multiaddr: hubAddress(c.req.raw, config, { hub, peerId }),
      nodes,
    })),
    groups: countGroups(live.flatMap(({ groups }) => groups)),
    settlement,
    you: { country: countryCode(seen.country), source: seen.source },
  })
}

/** Sums groups of the same kind over all hubs. */
function countGroups(all: readonly NodeGroup[]): NetworkGroup[] {
  const sums = new Map<string, NetworkGroup>()
  for (const { trust, evidence, isQuarantined, countries } of all)
    for (const [bit, count] of countries) {
      const country = countryCode(bit)
      const key = `${country} ${trust} ${evidence} ${isQuarantined}`
      const nodes = (sums.get(key)?.nodes ?? 0) + count
      sums.set(key, { country, trust, evidence, isQuarantined, nodes })
    }
  return [...sums.values()]
}

/** The nodes of one hub as they are now, and the name of the hub to ask next. */
async function listNodes(c: AppContext): Promise<Response> {
  const { config } = c.var
  const hubs = knownHubs(await hubsToday(deploymentOf(c))).toSorted((a, b) =>
    a.name < b.name ? -1 : 1,
  )
  const asked = c.req.query('hub')
  const at = asked === undefined ? 0 : hubs.findIndex(({ name }) => name === asked)
  const hub = hubs[at]
  if (hub === undefined) throw new AppError('not_found', 'There is no such hub.')
  const { nodes } = await openHub(c.env, hub, config).status()
  return c.json({
    hub: hub.name,
    nodes: nodes.map(mayAudit(c) ? asIs : atCountryLevel),
    next: hubs[at + 1]?.name ?? null,
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
