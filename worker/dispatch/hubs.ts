/** The hubs of a deployment as this isolate knows them from their summaries. */
import { beforeDeadline } from '#shared/base/deadline.ts'
import { AppError } from '#shared/base/errors.ts'
import { memoizeByObject } from '#shared/base/memoize.ts'
import { JURISDICTIONS, type CompiledPolicy, type Jurisdiction } from '#shared/law/policy.ts'
import type { AppContext } from '#worker/gate/context.ts'
import type { Config, RegionConfig, WorkerEnv } from '#worker/platform/config.ts'
import type { RequestTimer } from '#p2p/stream/request-timer.ts'
import { canStore, homeOf, openRegistry } from '#worker/protocols/durable-objects.ts'
import {
  findHub,
  firstHubs,
  hubName,
  orderRegions,
  type HubName,
} from '#worker/summary/hub-region.ts'
import type { HubTable } from '#worker/summary/hub-table.ts'
import { createHubView, VIEW_AGE_MS, type Keepers } from '#worker/summary/hub-view.ts'

/** An isolate's first request waits this long for the summaries; without them it asks each region's first hub. */
const FIRST_READING_MS = 1_000

/** What a request's context has of the deployment. */
export function deploymentOf(c: AppContext): Deployment {
  return {
    env: c.env,
    config: c.get('config'),
    order: orderFor(c),
    waitUntil: (reading) => c.executionCtx.waitUntil(reading),
    timer: c.get('timer'),
  }
}

/** By where Cloudflare sees the caller. It ranks hubs and is no evidence of a place. */
function orderFor(c: AppContext): readonly number[] | undefined {
  const { regions, deployment } = c.get('config')
  if (deployment !== 'cloudflare' || regions.length < 2) return undefined
  const { cf } = c.req.raw as { readonly cf?: { latitude?: unknown; longitude?: unknown } }
  const point = { lat: Number(cf?.latitude), lon: Number(cf?.longitude) }
  return Number.isFinite(point.lat + point.lon) ? orderRegions(regions, point) : undefined
}

export interface Deployment {
  readonly env: Pick<WorkerEnv, 'HUB' | 'REGISTRY'>
  readonly config: Config
  /** Indexes of the regions, nearest to the caller first. @default their configured order */
  readonly order?: readonly number[] | undefined
  /** Keeps the isolate alive for a reading in the background. @default the reading may be cut off */
  readonly waitUntil?: ((reading: Promise<unknown>) => void) | undefined
  /** Of the request whose deadlines follow one another. @default one for each call of a hub */
  readonly timer?: RequestTimer | undefined
}

/** Computed once a configuration, since every job asks. */
const keepersOf = memoizeByObject(
  (config: Pick<Config, 'deployment'>): Keepers =>
    new Map(
      JURISDICTIONS.map((storage) => [
        storage,
        new Set(JURISDICTIONS.filter((jurisdiction) => canStore(storage, jurisdiction, config))),
      ]),
    ),
)

const viewOf = memoizeByObject((config: Config) =>
  createHubView({
    regions: config.regions,
    keepers: keepersOf(config),
    homes: [...new Set(config.regions.map(({ jurisdiction }) => homeOf(jurisdiction, config)))],
    nowMs: Date.now,
  }),
)

/**
 * The summaries for a job. Old ones are read again in the background, so that no job waits for them; only an
 * isolate's first job does.
 */
export async function hubsForJob(deployment: Deployment): Promise<HubTable> {
  const known = hubsKnown(deployment)
  if (known !== undefined) return known
  await readInTime(deployment)
  return viewOf(deployment.config).table
}

/** The same without a wait; undefined in an isolate that is about to read the summaries for the first time. */
export function hubsKnown(deployment: Deployment): HubTable | undefined {
  const view = viewOf(deployment.config)
  if (view.isNew(FIRST_READING_MS)) return undefined
  if (view.isOlderThan(VIEW_AGE_MS)) {
    const reading = read(deployment)
    deployment.waitUntil?.(reading)
  }
  return view.table
}

/** The summaries for admission and for showing the network: those that are older are read again first. */
export async function hubsToday(
  deployment: Deployment,
  ageMs: number = SHOWN_AGE_MS,
): Promise<HubTable> {
  const view = viewOf(deployment.config)
  if (view.isOlderThan(ageMs)) await readInTime(deployment)
  return view.table
}

const SHOWN_AGE_MS = 1_000

async function readInTime(deployment: Deployment): Promise<void> {
  const limit = { timeoutMs: FIRST_READING_MS, what: 'Reading the summaries of hubs' }
  await beforeDeadline(read(deployment), limit).catch(() => {})
}

/** Never rejects: without an answer the hubs stay as they were known. */
async function read({ env, config }: Deployment): Promise<void> {
  await viewOf(config)
    .refresh((home, since) => openRegistry(env, home, config).read(since))
    .catch(() => {})
}

/** The regions whose hubs may keep a job's records under this policy, nearest first. */
export function eligibleRegions(
  { storage }: Pick<CompiledPolicy, 'storage'>,
  config: Pick<Config, 'regions' | 'deployment'>,
): RegionConfig[] {
  const keepers = keepersOf(config).get(storage)
  return config.regions.filter(
    ({ jurisdiction, shards }) => shards > 0 && keepers?.has(jurisdiction) === true,
  )
}

/** @throws {AppError} residency_unsatisfiable where no hub may keep the records of this policy's jobs */
export function requireHubs(policy: Pick<CompiledPolicy, 'storage'>, config: Config): void {
  if (eligibleRegions(policy, config).length > 0) return
  const rule = 'storage.jurisdiction'
  throw new AppError(
    'residency_unsatisfiable',
    `No hub keeps records in ${policy.storage} (${rule}).`,
    { meta: { rule, needed: `a hub in jurisdiction ${policy.storage}` } },
  )
}

/** A hub of this deployment by its name, also one that drains; undefined for any other name. */
export function hubNamed({ regions }: Pick<Config, 'regions'>, name: string): HubName | undefined {
  const found = findHub(regions, name)
  return found && hubName(found.region, found.shard)
}

/**
 * Every hub that may hold receipts: each that was opened, until it has drained. All places are asked, also those in which
 * no region of today stands.
 * @throws where a registry does not answer @throws {AppError} internal for a hub whose region is not configured as it was
 */
export async function everyHub({ env, config }: Deployment): Promise<HubName[]> {
  const homes = config.deployment === 'cloudflare' ? JURISDICTIONS : [config.deployment]
  const opened = await Promise.all(
    homes.map(async (home) => {
      const names = await openRegistry(env, home, config).hubs()
      return names.map((name) => hubOpenedIn(home, name, config))
    }),
  )
  const hubs = [...firstHubs(config.regions), ...opened.flat()]
  return [...new Map(hubs.map((hub) => [hub.name, hub])).values()]
}

/** A hub of another jurisdiction is another object, which holds nothing of it. */
function hubOpenedIn(home: Jurisdiction, name: string, config: Config): HubName {
  const hub = hubNamed(config, name)
  if (hub !== undefined && homeOf(hub.jurisdiction, config) === home) return hub
  throw new AppError(
    'internal',
    `Hub ${name} of jurisdiction ${home} may still hold receipts, and HUB_REGIONS does not name its region there. Name the region as it was, with *0, until the hub has drained.`,
  )
}

/** The hubs that have a summary, and the first hub of each region without one. */
export function knownHubs(table: HubTable): HubName[] {
  const known: HubName[] = [...table.all()]
  const names = new Set(known.map(({ name }) => name.slice(0, name.lastIndexOf('-'))))
  return [...known, ...firstHubs(table.regions.filter(({ name }) => !names.has(name)))]
}
