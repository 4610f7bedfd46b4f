/** The live nodes of one hub: who is connected, where it stands, how it has done. In memory only. */
import { BoundedMap } from '#shared/base/bounded-map.ts'
import type { Work } from '#shared/job/job.ts'
import { LIMITS } from '#shared/base/limits.ts'
import type { PresenceRecord, SignedPresence } from '#shared/node/node.ts'
import { countryCode } from '#shared/law/region.ts'
import type { WorkLink } from '#p2p/work/work-client.ts'
import { createConduct, type Conduct } from '#worker/hub/choice/conduct.ts'
import type { MemberEvidence } from '#worker/hub/place/member-evidence.ts'
import type { Admission, NetworkNode, NodeStanding } from '#worker/protocols/hub.ts'
import type { NodeView } from '#worker/hub/choice/schedule.ts'

export interface Member {
  readonly admission: Pick<Admission, 'nodeId' | 'claim' | 'networks' | 'voucher' | 'voice'>
  /** Where it stands, as far as that is known now. */
  readonly evidence: MemberEvidence
  readonly link: WorkLink
  presence: PresenceRecord
  signedPresence: SignedPresence
  quarantine: string | null
  jobsDone: number
  readonly serviceMs: Map<string, ServiceTime>
}

/** How long one kind of work took on one node, in ms, as the hub has measured it. */
export interface ServiceTime {
  readonly bestMs: number
  readonly peakMs: number
  readonly atMs: number
  /** The last answers; of a few dozen the slowest is their p99. */
  readonly recent: readonly Answered[]
}

interface Answered {
  readonly ms: number
  readonly units: number
}

/** Assumed time of work that no node has ever run here. What a node says of its own speed is not asked. */
const UNKNOWN_SERVICE_MS = 100
const RECENT_ANSWERS = 64
/** A peak counts half after this long: else one slow first run would keep a node from ever being asked again. */
const PEAK_HALF_LIFE_MS = 10_000
/** Weight of a new sample when it is faster than the average; slower ones count at once (peak-EWMA). */
const DECAY = 0.2

export class Directory {
  readonly #members = new Map<string, Member>()
  readonly #nowMs: () => number
  /** Reason by node id, until the hub restarts. */
  readonly #quarantined = new BoundedMap<string, string>(LIMITS.quarantineKept)
  readonly #conduct: Conduct
  readonly #heardMs = new WeakMap<Member, number>()
  /** Nodes that have answered a job since the hub started. */
  readonly #proven = new Set<string>()

  readonly #onChange: (member: Member, isHere: boolean) => void

  /** @param onChange told of each member that came, left, or is seen otherwise */
  constructor(
    nowMs: () => number = Date.now,
    onChange: (member: Member, isHere: boolean) => void = () => {},
  ) {
    this.#nowMs = nowMs
    this.#conduct = createConduct(nowMs)
    this.#onChange = onChange
  }

  get size(): number {
    return this.#members.size
  }

  members(): readonly Member[] {
    return [...this.#members.values()]
  }

  get(nodeId: string): Member | undefined {
    return this.#members.get(nodeId)
  }

  /** A reconnect does not end a quarantine: the reason is taken over from the node's last visit. */
  add(member: Member): void {
    member.quarantine ??= this.#quarantined.get(member.admission.nodeId) ?? null
    this.#members.set(member.admission.nodeId, member)
    this.#onChange(member, true)
  }

  /** Forgets a member, unless a newer connection of the same node took its place. */
  remove(member: Member): void {
    if (this.#members.get(member.admission.nodeId) !== member) return
    this.#members.delete(member.admission.nodeId)
    this.#onChange(member, false)
  }

  /** The member's evidence has been concluded anew: what refutes its place takes its work, what no longer does gives it back. */
  judge(member: Member, refutation: string | null): void {
    const before = member.quarantine
    const other = this.#quarantined.get(member.admission.nodeId) ?? null
    member.quarantine = refutation ?? other ?? otherClaim(member)
    if (member.quarantine !== before || this.#members.get(member.admission.nodeId) === member)
      this.#onChange(member, true)
  }

  /** Gives this node no more work, now and when it comes back. */
  quarantine(member: Member, reason: string): void {
    const { nodeId } = member.admission
    member.quarantine = reason
    this.#quarantined.set(nodeId, reason)
    this.#onChange(member, true)
  }

  /** Takes a newer presence record of a connected node; records of strangers and older ones change nothing. */
  refresh(record: PresenceRecord, signed: SignedPresence): void {
    const member = this.#members.get(record.nodeId)
    if (member === undefined || record.sequence <= member.presence.sequence) return
    member.presence = record
    member.signedPresence = signed
    member.quarantine = otherClaim(member) ?? member.quarantine
    this.#onChange(member, true)
  }

  /** Nodes that were never measured at this work count as the middle one of those that were. */
  views(work: Work): NodeView[] {
    const nowMs = this.#nowMs()
    const members = [...this.#members.values()]
    const measured = members
      .flatMap((member) => member.serviceMs.get(workKey(work)) ?? [])
      .filter(({ recent }) => recent.length > 0)
      .map((known) => expectedMs(known, nowMs))
      .toSorted((a, b) => a - b)
    const middleMs = measured[Math.floor(measured.length / 2)] ?? UNKNOWN_SERVICE_MS
    return members.map((member) => {
      const known = member.serviceMs.get(workKey(work))
      return {
        ...viewOf(member),
        isSuspect: this.#conduct.isSuspect(member.admission.nodeId),
        isMeasured: known !== undefined && known.recent.length > 0,
        serviceMs: known === undefined ? middleMs : expectedMs(known, nowMs),
      }
    })
  }

  recordService(member: Member, work: Work, { ms, units }: Answered): void {
    const known = member.serviceMs.get(workKey(work))
    const atMs = this.#nowMs()
    const before = known === undefined ? undefined : expectedMs(known, atMs)
    const peakMs = before === undefined || ms > before ? ms : before + (ms - before) * DECAY
    const bestMs = Math.min(ms, known?.bestMs ?? ms)
    const recent = [...(known?.recent ?? []), { ms, units }].slice(-RECENT_ANSWERS)
    keepService(member, work, { bestMs, peakMs, atMs, recent })
  }

  /** The slowest of the node's last answers to this work, for a job of so many units; undefined when it has given none. */
  slowestMs(member: Member, work: Work, units: number): number | undefined {
    const recent = member.serviceMs.get(workKey(work))?.recent ?? []
    if (recent.length === 0) return undefined
    return Math.max(...recent.map((one) => one.ms * Math.max(1, units / Math.max(1, one.units))))
  }

  /** The node has said its word on a job, whichever. */
  heard(member: Member): void {
    this.#heardMs.set(member, this.#nowMs())
  }

  /** When that was last; 0 for never. */
  heardMs(member: Member): number {
    return this.#heardMs.get(member) ?? 0
  }

  /** @param isLate whether that very job had been counted as a silence */
  answered(member: Member, isLate: boolean): void {
    const { nodeId } = member.admission
    this.heard(member)
    this.#conduct.answered(nodeId, isLate)
    const [oldest] = this.#proven
    if (this.#proven.size >= LIMITS.quarantineKept && oldest !== undefined)
      this.#proven.delete(oldest)
    this.#proven.add(nodeId)
  }

  hasAnswered(nodeId: string): boolean {
    return this.#proven.has(nodeId)
  }

  /**
   * A node has said nothing of its job: for a while others are asked before it. Past what the work should take it counts as
   * slow at it, too, and the second time it loses its place. A caller that asks for little time can bring about neither.
   */
  silent(member: Member, work: Work, about: { silentMs: number; isPast: boolean }): void {
    const known = member.serviceMs.get(workKey(work))
    const peakMs = Math.max(about.silentMs * 2, known?.peakMs ?? 0)
    const bestMs = known?.bestMs ?? peakMs
    const recent = known?.recent ?? []
    if (about.isPast) keepService(member, work, { bestMs, peakMs, atMs: this.#nowMs(), recent })
    if (!this.#conduct.silent(member.admission.nodeId, about.isPast)) return
    this.remove(member)
    member.link.close().catch(() => {})
  }

  /** How long a node that lost its place may not come back, in ms. */
  barredMs(nodeId: string): number {
    return this.#conduct.barredMs(nodeId)
  }

  /** What the residency decision knows of each node, for those who ask what it would be. */
  standings(): NodeStanding[] {
    return [...this.#members.values()].map((member) => ({
      nodeId: member.presence.nodeId,
      kind: member.presence.kind,
      facts: factsOf(member),
      quarantine: member.quarantine,
    }))
  }

  describe(): NetworkNode[] {
    return [...this.#members.values()].map((member) => {
      const { presence, link } = member
      const place = member.evidence.place()
      const record = member.evidence.record()
      return {
        nodeId: presence.nodeId,
        kind: presence.kind,
        country: countryCode(place.country),
        evidence: place.evidence,
        source: place.source,
        trust: place.trust,
        adapter: presence.adapter,
        models: [...presence.models],
        loadable: presence.loadable ?? [],
        kernels: presence.kernels === 'any' ? 'any' : presence.kernels.length,
        features: presence.features ?? [],
        rttMs: finite(link.rttMs()),
        inFlight: link.inFlight(),
        jobsDone: member.jobsDone,
        quarantine: member.quarantine,
        evidenceReasons: [...(record?.reasons ?? [])],
        evidenceUntilMs: record?.expiresAtMs ?? null,
        relaySuspected: record?.relaySuspected ?? false,
      }
    })
  }
}

/** A node that has come to claim another country than it was admitted with. */
function otherClaim({ presence, admission }: Member): string | null {
  if (presence.claim === admission.claim) return null
  return `The presence record claims ${presence.claim}; the node was admitted with ${admission.claim}.`
}

export function factsOf(member: Member): NodeView['facts'] {
  const place = member.evidence.place()
  return {
    country: place.country,
    evidence: place.evidence,
    possible: place.possible,
    trust: place.trust,
    voucher: place.voucher,
    networks: member.admission.networks,
    quarantined: member.quarantine !== null,
  }
}

/** The link knows no round trip before its first pong; JSON knows no Infinity. */
function finite(ms: number): number {
  return Number.isFinite(ms) ? ms : 0
}

function expectedMs({ bestMs, peakMs, atMs }: ServiceTime, nowMs: number): number {
  return bestMs + (peakMs - bestMs) * 0.5 ** (Math.max(0, nowMs - atMs) / PEAK_HALF_LIFE_MS)
}

function viewOf(member: Member): Omit<NodeView, 'isSuspect' | 'isMeasured' | 'serviceMs'> {
  const { presence, link } = member
  return {
    nodeId: presence.nodeId,
    facts: factsOf(member),
    models: presence.models,
    kernels: presence.kernels,
    features: presence.features,
    maxJobs: presence.maxJobs,
    inFlight: link.inFlight(),
    rttMs: finite(link.rttMs()),
  }
}

function keepService({ serviceMs }: Member, work: Work, time: ServiceTime): void {
  serviceMs.set(workKey(work), time)
  const [oldest] = serviceMs.keys()
  if (serviceMs.size > 256 && oldest !== undefined) serviceMs.delete(oldest)
}

function workKey(work: Work): string {
  return 'model' in work ? work.model : work.digest
}
