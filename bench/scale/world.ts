/** The simulated deployment: its regions, kinds of nodes, requests and hours. All numbers here are assumptions. */
import { compilePolicy } from '#shared/law/compile-policy.ts'
import { decide, type NodeFacts } from '#shared/law/decide.ts'
import { TenantId } from '#shared/base/ids.ts'
import { JURISDICTIONS, OPERATOR_TENANT, type Jurisdiction } from '#shared/law/policy.ts'
import { countryBit, onlyCountry } from '#shared/law/region.ts'
import type { HubRegion } from '#worker/summary/hub-region.ts'
import type { JobFacts, WorkFacts } from '#worker/summary/hub-table.ts'
import type { Keepers } from '#worker/summary/hub-view.ts'
import { asPolicy } from '#test/support/hub/as-policy.ts'

export interface Region extends HubRegion {
  /** Hubs that are open at the start. */
  readonly hubs: number
  readonly countries: readonly string[]
  /** Hours by which its local time is ahead of UTC. */
  readonly aheadHours: number
}

/** A region opens more hubs than it started with, up to this many times as many. */
const SHARDS = 1.25

type Row = readonly [string, Jurisdiction, number, readonly [number, number], number, string]

/** Name, jurisdiction, hubs of a thousand, place, hours ahead of UTC, countries. */
const REGIONS: readonly Row[] = [
  ['eu-west', 'eu', 140, [50, 7], 1, 'DE FR NL ES'],
  ['eu-north', 'eu', 60, [59, 18], 1, 'SE FI DK'],
  ['eu-east', 'eu', 80, [50, 20], 2, 'PL RO CZ GR'],
  ['us-east', 'us', 150, [39, -77], -5, 'US'],
  ['us-west', 'us', 120, [45, -121], -8, 'US'],
  ['america-north', 'any', 50, [45, -74], -5, 'CA MX'],
  ['america-south', 'any', 90, [-23, -46], -3, 'BR AR CL'],
  ['britain', 'any', 60, [52, 0], 0, 'GB CH NO'],
  ['asia-east', 'any', 100, [36, 140], 9, 'JP KR TW'],
  ['asia-south', 'any', 80, [19, 73], 5, 'IN PK BD'],
  ['asia-south-east', 'any', 50, [1, 104], 7, 'SG ID VN'],
  ['oceania', 'any', 20, [-34, 151], 10, 'AU NZ'],
]

/** @param hubs at the start, about */
export function createRegions(hubs: number): Region[] {
  return REGIONS.map(([name, jurisdiction, share, [lat, lon], aheadHours, countries]) => {
    const own = Math.max(2, Math.round((hubs * share) / 1_000))
    return {
      name,
      jurisdiction,
      hubs: own,
      shards: Math.ceil(own * SHARDS),
      anchor: { lat, lon },
      countries: countries.split(' '),
      aheadHours,
    }
  })
}

/** On Cloudflare, an object keeps records only in its own jurisdiction. */
export const KEEPERS: Keepers = new Map(
  JURISDICTIONS.map((storage) => [
    storage,
    new Set(JURISDICTIONS.filter((each) => storage === 'any' || storage === each)),
  ]),
)
export const HOMES: readonly Jurisdiction[] = ['any', 'eu', 'us']

/** Share of the peak, which is at six in the evening. */
export function activity({ aheadHours }: Region, hourUtc: number): number {
  return (1 + Math.cos(((hourUtc + aheadHours - 18) / 24) * 2 * Math.PI)) / 2
}

/** Nodes of equal facts, models and slots. */
export interface NodeKind {
  readonly share: number
  readonly country: string
  readonly sort: string
  readonly facts: NodeFacts
  readonly maxJobs: number
  readonly models: readonly `0x${string}`[]
  readonly loadable: readonly `0x${string}`[]
  readonly kernels: 'any' | readonly []
}

const MODEL = { chat: 1, embed: 2, large: 3, scan: 4, rare: 5 } as const
type ModelName = keyof typeof MODEL

function digestOf(name: ModelName): `0x${string}` {
  return `0x${(MODEL[name] * 0x01010101).toString(16).padStart(8, '0')}${'ab'.repeat(28)}`
}

interface Sort extends Pick<NodeKind, 'share' | 'maxJobs' | 'kernels'> {
  readonly trust: Pick<NodeFacts, 'trust' | 'voucher' | 'evidence'>
  readonly models: readonly ModelName[]
  readonly loadable: readonly ModelName[]
}

const PUBLIC = { trust: 'public', voucher: null, evidence: 'observed' } as const
const VERIFIED = { trust: 'verified', voucher: OPERATOR_TENANT, evidence: 'bounded' } as const
const DEDICATED = { trust: 'dedicated', voucher: OPERATOR_TENANT, evidence: 'attested' } as const
const PLAIN = { loadable: [], kernels: 'any' } as const
const SORTS: Readonly<Record<string, Sort>> = {
  laptop: { ...PLAIN, share: 0.62, trust: PUBLIC, maxJobs: 2, models: ['chat', 'embed'] },
  tab: {
    share: 0.25,
    trust: PUBLIC,
    maxJobs: 1,
    models: ['embed'],
    loadable: ['chat'],
    kernels: [],
  },
  server: { ...PLAIN, share: 0.1, trust: VERIFIED, maxJobs: 8, models: ['chat', 'large'] },
  clinic: { ...PLAIN, share: 0.026, trust: DEDICATED, maxJobs: 4, models: ['embed', 'scan'] },
  rare: { ...PLAIN, share: 0.004, trust: PUBLIC, maxJobs: 2, models: ['rare'] },
}

/** The kinds of nodes of a country; their shares are of the country's nodes. */
export function kindsOf(country: string): NodeKind[] {
  const bit = countryBit(country)
  return Object.entries(SORTS).map(([sort, { trust, models, loadable, ...own }]) => ({
    ...own,
    sort,
    country,
    models: models.map(digestOf),
    loadable: loadable.map(digestOf),
    facts: {
      ...trust,
      country: bit,
      possible: onlyCountry(bit),
      networks: [],
      quarantined: false,
    },
  }))
}

/** Requests of one policy and work, with the kinds that may take them by the real decision. */
export interface RequestKind extends JobFacts {
  readonly share: number
  readonly work: WorkFacts
  /** Indexes of the kinds that can run it now, and of those that would load the model first. */
  readonly warm: readonly number[]
  readonly cold: readonly number[]
}

const TENANT = TenantId.parse('bench')
const PLAIN_WORKS: readonly (readonly [ModelName | 'kernel', number])[] = [
  ['chat', 0.6],
  ['embed', 0.2],
  ['large', 0.08],
  ['rare', 0.05],
  ['kernel', 0.07],
]
const TRUSTED_WORKS: typeof PLAIN_WORKS = [
  ['chat', 0.5],
  ['large', 0.5],
]
const CLINIC_WORKS: typeof PLAIN_WORKS = [['scan', 1]]

/** The requests that come from a region. Their shares sum to one. */
export function requestsOf(region: Region, kinds: readonly NodeKind[]): RequestKind[] {
  const { jurisdiction, countries } = region
  const own = jurisdiction === 'any' ? countries : [jurisdiction.toUpperCase()]
  const home = { compute: { allow: [...own] }, storage: jurisdiction }
  const trusted = { nodeTrust: 'verified', vouchers: ['operator'], minEvidence: 'bounded' }
  const rows = [
    [0.45, { compute: { allow: ['WORLD'] }, storage: 'any' }, PLAIN_WORKS],
    [0.25, home, PLAIN_WORKS],
    [0.15, { compute: { allow: countries.slice(0, 1) }, storage: 'any' }, PLAIN_WORKS],
    [0.1, { ...home, ...trusted }, TRUSTED_WORKS],
    [0.05, { ...home, ...trusted, nodeTrust: 'dedicated', dataClass: 'phi' }, CLINIC_WORKS],
  ] as const
  return rows.flatMap(([share, draft, works], at) => {
    const id = `${region.name}-${at}`
    const parsed = asPolicy({ id, dataClass: 'public', ...draft })
    const policy = compilePolicy(parsed, { tenant: TENANT, version: 1 })
    const allowed = kinds.flatMap((kind, index) =>
      decide(policy, policy.compute, kind.facts) === 'allow' ? [{ ...kind, index }] : [],
    )
    return works.map(([name, part]) => {
      const isKernel = name === 'kernel'
      const digest = isKernel ? (`0x${'9e'.repeat(32)}` as const) : digestOf(name)
      const work: WorkFacts = { kind: isKernel ? 'kernel' : 'model', digest }
      const warm = allowed.filter(({ models, kernels }) =>
        isKernel ? kernels === 'any' : models.includes(digest),
      )
      const cold = isKernel ? [] : allowed.filter(({ loadable }) => loadable.includes(digest))
      return {
        share: share * part,
        policy,
        allowed: policy.compute,
        work,
        warm: warm.map(({ index }) => index),
        cold: cold.map(({ index }) => index),
      }
    })
  })
}
