/** Admits nodes (a token over HTTP, then a WebSocket to a hub with that token), and shows auditors their evidence. */
import { Hono } from 'hono'
import { concludeEvidence } from '#shared/place/conclude-evidence.ts'
import { AppError } from '#shared/base/errors.ts'
import { NodeId } from '#shared/base/ids.ts'
import { MANIFESTS } from '#shared/job/manifests.ts'
import { manifestDigest } from '#shared/job/model.ts'
import {
  AdmissionRequest,
  signAdmission,
  verifyAdmission,
  type AdmissionClaims,
  type AdmissionGrant,
} from '#worker/edge/admission.ts'
import type { AppContext, AppEnv } from '#worker/gate/context.ts'
import { openHub, type HubApi } from '#worker/protocols/durable-objects.ts'
import { parseBody } from '#worker/body/faults.ts'
import { hubAddress } from './hub-address.ts'
import { ADMISSION_HEADER, type Admission } from '#worker/protocols/hub.ts'
import { deploymentSecret, optionalKey, requireScope } from '#worker/gate/auth.ts'
import { readJson } from '#worker/gate/body.ts'
import { addressBlock, blockOf, reporterOf } from '#worker/edge/reporter.ts'
import { observeNode, type NodeSighting } from '#worker/edge/place.ts'
import { hasScope } from '#worker/protocols/key-grant.ts'
import { LIMITS } from '#shared/base/limits.ts'
import { countryBit } from '#shared/law/region.ts'
import { firstHubs, type HubName } from '#worker/summary/hub-region.ts'
import type { HubTable } from '#worker/summary/hub-table.ts'
import { placeNode } from '#worker/summary/place-node.ts'
import {
  deploymentOf,
  everyHub,
  hubNamed,
  hubsToday,
  type Deployment,
} from '#worker/dispatch/hubs.ts'

const ADMISSION_BODY_BYTES = 4 * 1024

export const nodeRoutes = new Hono<AppEnv>()
  .post('/v1/nodes/admission', optionalKey, admit)
  .get('/p2p/:hub', forward)
  .get('/v1/nodes/:id/evidence', requireScope('audit'), showEvidence)

async function admit(c: AppContext): Promise<Response> {
  const { config, isolate } = c.var
  isolate.admissions.take(addressBlock(c.var.address))
  const node = parseBody(AdmissionRequest, await readJson(c, ADMISSION_BODY_BYTES))
  const backing = vouched(c)
  const secret = deploymentSecret(c, 'admits no nodes')
  const deps = { secret, nowMs: isolate.nowMs(), random: isolate.random }
  const { observation } = await observeNode(c.req.raw, config)
  const place = concludeEvidence(
    { ...node, hub: '', observation, echoes: [], attestation: null },
    isolate.nowMs(),
  )
  const deployment = deploymentOf(c)
  const table = await hubsToday(deployment)
  // A node that has a hub only asks for anchors: it needs no other hub, and none is opened for it.
  const own = node.hub === undefined ? undefined : await openHubNamed(deployment, table, node.hub)
  const options = { random: Math.random, capacity: config.hubSeats }
  const named =
    own === undefined
      ? placeNode(table, { country: countryBit(node.claim), order: deployment.order }, options)
      : [own]
  const measuring = config.regions.filter(({ anchor }) => anchor != null)
  const anchors = firstHubs(measuring).slice(0, LIMITS.anchors)
  const hubs = await identify(c, named, table)
  if (Object.keys(hubs).length === 0) throw new AppError('no_capacity', 'No hub answers.')
  // An anchor calls the hub that the token names as the node's own, so it is named only if it is open.
  const admitted = { ...node, ...backing, hub: own?.name }
  const grant = await signAdmission({ ...admitted, hubs }, deps)
  return c.json({
    ...grant,
    hubs: addressesOf(c, hubs, grant.token),
    /** Hubs that measure the node's distance; the node skips the one that serves it. */
    anchors: await measuringAddresses(c, await identify(c, anchors, table), {
      sign: (anchor) => signAdmission({ ...admitted, hubs: anchor, purpose: 'measure' }, deps),
    }),
    /** The place of this connection; the hub judges the WebSocket's place again. */
    place: {
      country: node.claim,
      evidence: place.class,
      source: place.source,
      trust: backing.trust,
    },
    models: MANIFESTS.map((manifest) => ({ id: manifest.id, digest: manifestDigest(manifest) })),
  })
}

/** A hub that is open. One that opened a moment ago is only in the summaries of now. */
async function openHubNamed(
  deployment: Deployment,
  table: HubTable,
  name: string,
): Promise<HubName | undefined> {
  const known = table.get(name)
  if (known !== undefined || hubNamed(deployment.config, name) === undefined) return known
  return (await hubsToday(deployment, 0)).get(name)
}

/** Hubs with their peer ids, in this order. Those without a summary are asked; silent ones are left out. */
async function identify(c: AppContext, hubs: readonly HubName[], table: HubTable): Promise<Peers> {
  const { config, log } = c.var
  const found = await Promise.allSettled(
    hubs.map(async (hub) => {
      const known = table.get(hub.name)?.summary
      return known?.peerId ?? (await openHub(c.env, hub, config).identify()).peerId
    }),
  )
  const peers: Record<string, NodeId> = {}
  for (const [at, { name }] of hubs.entries()) {
    const answer = found[at]
    if (answer?.status === 'fulfilled') peers[name] = answer.value
    else log.error('hub.failed', { hub: name, cause: String(answer?.reason) })
  }
  return peers
}

type Peers = AdmissionClaims['hubs']

function addressesOf(c: AppContext, hubs: Peers, token: string): string[] {
  return Object.entries(hubs).map(([hub, peerId]) =>
    hubAddress(c.req.raw, c.var.config, { hub, peerId, token }),
  )
}

/** Each anchor gets a token of its own, so that a token stays short. */
async function measuringAddresses(
  c: AppContext,
  anchors: Peers,
  { sign }: { readonly sign: (anchor: Peers) => Promise<AdmissionGrant> },
): Promise<string[]> {
  const addresses = Object.entries(anchors).map(async ([hub, peerId]) => {
    const anchor = { [hub]: peerId }
    return addressesOf(c, anchor, (await sign(anchor)).token)
  })
  return (await Promise.all(addresses)).flat()
}

/** Only a key with scope `node` vouches. The node then belongs to the key's consortia. */
function vouched(c: AppContext): Pick<AdmissionClaims, 'trust' | 'networks' | 'voucher'> {
  const { caller } = c.var
  if (caller === undefined) return { trust: 'public', networks: [], voucher: null }
  const { scopes, networks, tenant, keyId } = caller
  if (hasScope(scopes, 'node'))
    return { trust: 'verified', networks: [...networks], voucher: { tenant, keyId } }
  throw new AppError('forbidden', 'To vouch for a node the key needs scope node.')
}

/**
 * Checks the token before any libp2p handshake, observes the connection's place, and hands the
 * socket to the hub. The hub gets a fresh request, so no header from outside reaches it.
 */
async function forward(c: AppContext): Promise<Response> {
  const { config, isolate } = c.var
  if (c.req.header('upgrade')?.toLowerCase() !== 'websocket') {
    throw new AppError('invalid_request', 'This route is a WebSocket for nodes.')
  }
  const hub = hubNamed(config, c.req.param('hub') ?? '')
  if (hub === undefined) throw new AppError('not_found', 'There is no such hub.')
  const secret = deploymentSecret(c, 'admits no nodes')
  const token = c.req.query('token') ?? ''
  const claims = await verifyAdmission(token, { secret, nowMs: isolate.nowMs(), hub: hub.name })
  const stub = openHub(c.env, hub, config)
  const sighting = await observeNode(c.req.raw, config)
  // Judged by this connection: the token may have been requested from elsewhere.
  const backing = { voucher: claims.voucher?.tenant ?? null, address: c.var.address }
  const admission: Admission = {
    ...claims,
    reporter: await reporterOf(backing, secret),
    block: await blockOf(backing, secret),
    observation: sighting.observation,
    transportRttMs: await transportToHub(sighting, stub),
  }
  return await stub.fetch(
    new Request(`http://hub/p2p/${hub.name}`, {
      headers: { upgrade: 'websocket', [ADMISSION_HEADER]: JSON.stringify(admission) },
    }),
  )
}

/**
 * Adds the node's round trip to the edge and the edge's to the hub: the least time that a signed
 * echo can take. The second is an upper bound, so a far or sleeping hub never makes a node look
 * relayed.
 */
async function transportToHub(
  { transportRttMs }: NodeSighting,
  hub: Pick<HubApi, 'identify'>,
): Promise<number | null> {
  if (transportRttMs === null) return null
  const startedMs = performance.now()
  await hub.identify()
  return transportRttMs + Math.ceil(performance.now() - startedMs)
}

async function showEvidence(c: AppContext): Promise<Response> {
  const { config } = c.var
  const missing = new AppError(
    'not_found',
    'No such node is connected; receipts keep the evidence of their time.',
  )
  const id = NodeId.safeParse(c.req.param('id'))
  if (!id.success) throw missing
  const hubs = await everyHub(deploymentOf(c))
  const records = await Promise.all(
    hubs.map((hub) => openHub(c.env, hub, config).evidence(id.data)),
  )
  const record = records.find((each) => each !== null)
  if (record === undefined) throw missing
  return c.json(record)
}
