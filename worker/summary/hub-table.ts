/**
 * The summaries that an isolate knows, arranged so that a choice among a thousand hubs takes microseconds.
 *
 * For each kind of job (policy, allowed countries, work) the fitting hubs are listed once; after a reading only the
 * hubs with a newer summary are looked at again. What this isolate itself has sent to a hub since the hub's last summary counts against its free room.
 */
import { BoundedMap } from '#shared/base/bounded-map.ts'
import {
  EVIDENCE_CLASSES,
  NAMED_VOUCHER,
  NODE_TRUSTS,
  OPERATOR_TENANT,
  type CompiledPolicy,
  type Jurisdiction,
} from '#shared/law/policy.ts'
import { intersect, UNKNOWN_COUNTRY, type CountrySet } from '#shared/law/region.ts'
import type { Work } from '#shared/job/job.ts'
import { findHub, hubName, type HubName, type HubRegion } from './hub-region.ts'
import { mayContain, offerKeys, type HubSummary, type NodeGroup } from './hub-summary.ts'

/** Kinds of jobs whose fitting hubs are kept. */
const KINDS_KEPT = 1_024
const WORDS = 8

/** What the choice of a hub needs to know about a job. */
export interface JobFacts {
  readonly policy: CompiledPolicy
  /** The policy's compute set, narrowed by the request. */
  readonly allowed: CountrySet
  /** Null for a session, whose steps may be any work. */
  readonly work: WorkFacts | null
}

export type WorkFacts = Pick<Work, 'kind' | 'digest'> & {
  readonly requires?: readonly string[] | undefined
}

/** A hub with a summary. */
export interface KnownHub extends HubName {
  readonly summary: HubSummary
  /** Index of its region. */
  readonly region: number
  /** Jobs that this isolate has sent to it since the summary. */
  sentJobs: number
  /** Number of the change of the table that brought the summary. */
  readonly since: number
  /** Whether no later summary has replaced it. */
  isCurrent: boolean
}

/** A hub for one kind of job. */
export interface Candidate {
  readonly hub: KnownHub
  readonly freeSlots: number
}

export interface Shortlist {
  readonly candidates: readonly Candidate[]
  /** Whether none has had a free slot since the last summary. */
  isFull: boolean
}

/** Hubs for one kind of job, by index of their region. */
export interface Fitting {
  /** Hubs with allowed nodes that can run it now. */
  readonly warm: readonly Shortlist[]
  /** Hubs with allowed nodes that could load the model. */
  readonly cold: readonly Shortlist[]
  /** Hubs that may keep the job's records, and whose summary shows no node for it. */
  readonly unfit: readonly KnownHub[]
  /** The first hubs of regions that may keep the job's records, and of which no hub has a summary. */
  readonly unknown: readonly (HubName & { readonly region: number })[]
}

/** The lists of a kind of job as of a change of the table. */
interface Listed {
  readonly fitting: Fitting
  readonly at: number
}

export type HubTable = ReturnType<typeof createHubTable>

/**
 * @param canKeep tells whether a hub of this jurisdiction may keep records that must stay in `storage`
 */
export function createHubTable(
  regions: readonly HubRegion[],
  canKeep: (storage: Jurisdiction, jurisdiction: Jurisdiction) => boolean,
) {
  const hubs = new Map<string, KnownHub>()
  const kinds = new BoundedMap<string, Listed>(KINDS_KEPT)
  let changes = 0
  const sentNodes = new Map<string, number>()
  const hasHub = (region: number) => [...hubs.values()].some((hub) => hub.region === region)
  /** @param before the lists as of an earlier change, whose hubs are kept unless they have changed */
  const list = (job: JobFacts, before: Listed | undefined): Fitting => {
    const need = wordsOf(intersect(job.policy.compute, job.allowed))
    const kept = (lists: readonly Shortlist[] | undefined): Candidate[][] =>
      regions.map((_, at) => lists?.[at]?.candidates.filter(({ hub }) => hub.isCurrent) ?? [])
    const [warm, cold] = [kept(before?.fitting.warm), kept(before?.fitting.cold)]
    const unfit = before?.fitting.unfit.filter(({ isCurrent }) => isCurrent) ?? []
    for (const hub of hubs.values()) {
      if (hub.since <= (before?.at ?? 0)) continue
      if (!canKeep(job.policy.storage, hub.jurisdiction)) continue
      const fit = fitOf(hub.summary, job, need)
      if (fit === undefined) unfit.push(hub)
      else (fit.isWarm ? warm : cold)[hub.region]?.push({ hub, freeSlots: fit.freeSlots })
    }
    const shorten = (candidates: readonly Candidate[]) => ({ candidates, isFull: false })
    const unknown = regions.flatMap((region, at) =>
      region.shards === 0 || !canKeep(job.policy.storage, region.jurisdiction) || hasHub(at)
        ? []
        : [{ ...hubName(region, 0), region: at }],
    )
    return { warm: warm.map(shorten), cold: cold.map(shorten), unfit, unknown }
  }
  const drop = (name: string): void => {
    const hub = hubs.get(name)
    if (hub !== undefined) hub.isCurrent = false
    hubs.delete(name)
    sentNodes.delete(name)
  }
  return {
    regions,
    /** Indexes of the regions, in their own order. */
    nearestFirst: regions.map((_, at) => at),
    /** Takes newer summaries. Those of hubs that these regions do not have, or have elsewhere, are ignored. */
    apply(summaries: Iterable<HubSummary>): void {
      changes += 1
      for (const summary of summaries) {
        const found = findHub(regions, summary.hub)
        if (found === undefined || found.region.jurisdiction !== summary.jurisdiction) continue
        if ((hubs.get(summary.hub)?.summary.atMs ?? -Infinity) > summary.atMs) continue
        const { hub: name, jurisdiction } = summary
        const region = regions.indexOf(found.region)
        drop(name)
        const own = { name, jurisdiction, summary, region, sentJobs: 0 }
        hubs.set(name, { ...own, since: changes, isCurrent: true })
      }
    },
    /** Forgets hubs that have gone. */
    forget(names: Iterable<string>): void {
      changes += 1
      for (const name of names) drop(name)
    },
    get: (name: string): KnownHub | undefined => hubs.get(name),
    all: (): IterableIterator<KnownHub> => hubs.values(),
    ofRegion: (region: number): KnownHub[] =>
      [...hubs.values()].filter((hub) => hub.region === region),
    /** Nodes that this isolate has sent to a hub since the hub's last summary, if it has one. */
    sentNodes: (name: string): number => sentNodes.get(name) ?? 0,
    sendNode: (name: string): void => void sentNodes.set(name, (sentNodes.get(name) ?? 0) + 1),
    /** The hubs for a kind of job, as of the last summary. */
    fitting(job: JobFacts): Fitting {
      const { policy, allowed, work } = job
      const wanted =
        work === null ? '' : `${work.kind} ${work.digest} ${work.requires?.join() ?? ''}`
      const key = `${policy.hash} ${allowed} ${wanted}`
      const kept = kinds.get(key)
      if (kept?.at === changes) return kept.fitting
      const fitting = list(job, kept)
      kinds.set(key, { fitting, at: changes })
      return fitting
    },
  }
}

/** Tells what a hub has for a job; undefined if its summary shows no node that may take it. */
function fitOf(
  { groups, slots, features, isDraining }: HubSummary,
  { policy, work }: JobFacts,
  need: Uint32Array,
): { readonly isWarm: boolean; readonly freeSlots: number } | undefined {
  if (work === null) {
    const isFit = groups.some((group) => isAllowed(group, policy) && isIn(group, need))
    return isFit ? { isWarm: true, freeSlots: isDraining ? 0 : slots.free } : undefined
  }
  const lacks = work.requires?.some((name) => !mayContain(features, name)) ?? false
  const keys = offerKeys(work)
  let [warm, cold] = [-1, -1]
  for (const group of groups) {
    if (!isAllowed(group, policy)) continue
    for (const { key, countries, freeSlots } of group.offers) {
      if (!keys.includes(key)) continue
      let [isWarm, isCold] = [false, false]
      for (const [bit, offered] of countries) {
        if (!hasBit(need, bit)) continue
        isWarm ||= offered.warm > 0
        isCold ||= offered.cold > 0
      }
      if (isWarm && !lacks) warm = Math.max(warm, 0) + freeSlots
      if (isCold) cold = slots.free
    }
  }
  if (warm < 0 && cold < 0) return undefined
  return { isWarm: warm >= 0, freeSlots: isDraining ? 0 : warm >= 0 ? warm : cold }
}

/** The rules of `decide` as far as a group shows them. It may say yes where the hub will say no, never the reverse. */
function isAllowed(group: NodeGroup, policy: CompiledPolicy): boolean {
  const { trust, evidence, isQuarantined, vouchers, networks } = group
  if (isQuarantined || evidence === 'contradicted' || policy.verification !== 'none') return false
  if (EVIDENCE_CLASSES.indexOf(evidence) < EVIDENCE_CLASSES.indexOf(policy.minEvidence))
    return false
  if (policy.network !== null && !mayContain(networks, policy.network)) return false
  const isVouched =
    trust !== 'public' && policy.vouchers.some((name) => mayVouch(vouchers, name, policy.tenant))
  return NODE_TRUSTS.indexOf(isVouched ? trust : 'public') >= leastTrust(policy)
}

function isIn({ countries }: NodeGroup, need: Uint32Array): boolean {
  for (const bit of countries.keys()) if (hasBit(need, bit)) return true
  return false
}

function mayVouch(vouchers: number, name: string, tenant: string): boolean {
  if (name === 'anyone') return true
  if (name === 'own') return mayContain(vouchers, tenant)
  if (name === 'operator') return mayContain(vouchers, OPERATOR_TENANT)
  return mayContain(vouchers, name.slice(NAMED_VOUCHER.length))
}

/** Index of the least trust that the policy's own rule and its class of data allow. */
function leastTrust({ dataClass, personalOnPublicNodes, nodeTrust }: CompiledPolicy): number {
  const ofData =
    dataClass === 'phi'
      ? 'dedicated'
      : dataClass === 'special' || (dataClass === 'personal' && !personalOnPublicNodes)
        ? 'verified'
        : 'public'
  return Math.max(NODE_TRUSTS.indexOf(nodeTrust), NODE_TRUSTS.indexOf(ofData))
}

/** The set as eight words, the lowest bits first. */
function wordsOf(set: CountrySet): Uint32Array {
  return Uint32Array.from({ length: WORDS }, (_, at) =>
    Number.parseInt(set.slice(58 - 8 * at, 66 - 8 * at), 16),
  )
}

/** The unknown place is in no set. */
function hasBit(set: Uint32Array, bit: number): boolean {
  return bit !== UNKNOWN_COUNTRY && (((set[bit >>> 5] ?? 0) >>> (bit & 31)) & 1) === 1
}
