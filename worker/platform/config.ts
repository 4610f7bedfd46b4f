/** The Worker's environment: typed bindings, and variables parsed into one config. */
import { z } from 'zod'
import { AppError } from '#shared/base/errors.ts'
import { AnchorPlace } from '#shared/place/evidence.ts'
import { Bytes32 } from '#shared/base/ids.ts'
import { LIMITS } from '#shared/base/limits.ts'
import { memoizeByObject } from '#shared/base/memoize.ts'
import { JURISDICTIONS, type Jurisdiction } from '#shared/law/policy.ts'
import { countryBit } from '#shared/law/region.ts'
import { PublicKey } from '#shared/proof/signature.ts'

/** The used part of a Durable Object namespace, typed structurally so that plain Node can run the app. */
export interface ObjectNamespace {
  getByName(name: string): unknown
  jurisdiction(jurisdiction: string): ObjectNamespace
}

export interface WorkerEnv {
  readonly ASSETS: { fetch(request: string | Request): Promise<Response> }
  readonly HUB: ObjectNamespace
  readonly TENANT: ObjectNamespace
  readonly LEDGER: ObjectNamespace
  readonly BATCH: ObjectNamespace
  readonly KERNELS: ObjectNamespace
  readonly REGISTRY: ObjectNamespace
  readonly HUB_REGIONS: string
  /** Most nodes of a hub. @default 500 */
  readonly HUB_SEATS?: string
  readonly JURISDICTION: string
  readonly INGRESS_COUNTRY: string
  readonly HUB_ADDRESS: string
  readonly OPERATOR_KEY?: string
  readonly ADMISSION_SECRET?: string
  readonly PROXY_SECRET?: string
  readonly LOG_KEY?: string
  /** Empty where the deployment settles on no chain. */
  readonly SETTLEMENT_ADDRESS?: string
  readonly BATCH_SECONDS?: string
  /** Public keys of attesters, `x.y` in hex, comma-separated. */
  readonly ATTESTERS?: string
  /** Development only: places are simulated. */
  readonly SIMULATED_PLACES?: string
}

/** Set at build time; see `place.ts`. */
declare const __SIMULATED_PLACES__: boolean

/** A region of hubs: `NAME-0`, `NAME-1` and so on, each opened when the others are nearly full. */
export interface RegionConfig {
  readonly name: string
  readonly jurisdiction: Jurisdiction
  /** Most hubs that it may have. Its other hubs drain; with 0 all do. */
  readonly shards: number
  /** The location of its first hub, which then measures round trips; null for a region without an anchor. */
  readonly anchor?: AnchorPlace | null
}

export interface Config {
  /** Nearest first. */
  readonly regions: readonly RegionConfig[]
  /** Most nodes of a hub. */
  readonly hubSeats: number
  /** `cloudflare` offers every jurisdiction; any other value is the one place of a self-hosted deployment. */
  readonly deployment: 'cloudflare' | Jurisdiction
  /** Country bit where TLS ends, unless something nearer says otherwise. */
  readonly ingressCountry: number
  /** Multiaddr of the hubs without their path; empty to derive it from the request. */
  readonly hubAddress: string
  readonly operatorKey: string | undefined
  readonly admissionSecret: string | undefined
  readonly proxySecret: string | undefined
  /** Seed of the key that signs audit log checkpoints. */
  readonly logKey: string | undefined
  /** Keys whose statements make a node attested. */
  readonly attesters?: readonly PublicKey[]
  /** Time from a job's end to its settlement; null without a chain. */
  readonly settlesWithinMs?: number | null
}

const Vars = z.object({
  HUB_REGIONS: z.string().max(8_192),
  HUB_SEATS: z.coerce.number().int().min(1).max(LIMITS.hubNodes).default(LIMITS.hubNodes),
  JURISDICTION: z.enum(['cloudflare', ...JURISDICTIONS]),
})

/** @throws on an invalid variable: a misconfigured deployment must not answer */
export const readConfig = memoizeByObject((env: WorkerEnv): Config => {
  refuseMadeUpPlaces(env)
  const { HUB_REGIONS, HUB_SEATS, JURISDICTION } = Vars.parse(env)
  return {
    regions: parseRegions(HUB_REGIONS),
    hubSeats: HUB_SEATS,
    deployment: JURISDICTION,
    ingressCountry: countryBit(env.INGRESS_COUNTRY || undefined),
    hubAddress: env.HUB_ADDRESS,
    operatorKey: env.OPERATOR_KEY || undefined,
    admissionSecret: env.ADMISSION_SECRET || undefined,
    proxySecret: env.PROXY_SECRET || undefined,
    logKey: parseLogKey(env.LOG_KEY || undefined),
    attesters: parseAttesters(env.ATTESTERS || undefined),
    settlesWithinMs: readSettlingTime(env),
  }
})

/** A job may just have missed a batch, and the next one must still be mined. */
function readSettlingTime({ SETTLEMENT_ADDRESS, BATCH_SECONDS }: WorkerEnv): number | null {
  return SETTLEMENT_ADDRESS ? 2_000 * Number(BATCH_SECONDS) + MINING_MS : null
}

const MINING_MS = 30_000

/** Development settings would have no effect in production, so they are refused. */
function refuseMadeUpPlaces({ SIMULATED_PLACES }: WorkerEnv): void {
  if (!SIMULATED_PLACES || __SIMULATED_PLACES__) return
  throw new AppError(
    'internal',
    'SIMULATED_PLACES is set, and a production build does not start with it. Unset it, or run a development build.',
  )
}

/**
 * Parses `eu-west:eu*4@50.11/8.68/25`: name, jurisdiction, most hubs (one if absent), and for an anchor latitude,
 * longitude and uncertainty in km.
 */
const REGION =
  /^([a-z0-9-]{1,56}):([a-z-]+)(?:\*(\d{1,4}))?(?:@(-?[\d.]+)\/(-?[\d.]+)(?:\/([\d.]+))?)?$/
const MOST_REGIONS = 64
const MOST_SHARDS = 1_000

function parseRegions(text: string): RegionConfig[] {
  const regions = text.split(',').map((entry): RegionConfig => {
    const [, name, jurisdiction, shards = '1', lat, lon, slackKm = '0'] = REGION.exec(entry) ?? []
    if (name === undefined)
      throw new AppError(
        'internal',
        `HUB_REGIONS: ${entry} is not name:jurisdiction[*hubs][@lat/lon[/slackKm]].`,
      )
    const place = { lat: Number(lat), lon: Number(lon), slackKm: Number(slackKm) }
    return {
      name,
      jurisdiction: z.enum(JURISDICTIONS).parse(jurisdiction),
      shards: z.int().min(0).max(MOST_SHARDS).parse(Number(shards)),
      anchor:
        lat === undefined
          ? null
          : AnchorPlace.parse({ ...place, isSimulated: __SIMULATED_PLACES__ }),
    }
  })
  const names = new Set(regions.map(({ name }) => name))
  if (regions.length <= MOST_REGIONS && names.size === regions.length) return regions
  throw new AppError('internal', `HUB_REGIONS names a region twice, or more than ${MOST_REGIONS}.`)
}

function parseAttesters(text: string | undefined): PublicKey[] {
  return (text?.split(',') ?? []).map((entry) => {
    const [x, y] = entry.trim().split('.')
    const key = PublicKey.safeParse({ x, y })
    if (key.success) return key.data
    throw new AppError(
      'internal',
      `ATTESTERS: ${entry} is not a public key as npm run attest -- key prints it.`,
    )
  })
}

/** A mistyped key would leave logs without proofs, which only an auditor would notice. */
function parseLogKey(text: string | undefined): string | undefined {
  if (text === undefined || Bytes32.safeParse(text).success) return text
  throw new AppError('internal', 'LOG_KEY is not 0x and 64 hex digits.')
}
