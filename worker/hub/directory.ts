/** The live nodes of one hub: who is connected, where it stands, how it has done. In memory only. */
import type { Work } from '#shared/job.ts'
import { LIMITS } from '#shared/limits.ts'
import type { PresenceRecord, SignedPresence } from '#shared/node.ts'
import { countryCode } from '#shared/region.ts'
import type { WorkLink } from '#p2p/work-client.ts'
import type { MemberEvidence } from './member-evidence.ts'
import type { Admission, NetworkNode, NodeStanding } from './protocol.ts'
import type { NodeView } from './schedule.ts'

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

/** How long one kind of work took on one node, in ms. */
export interface ServiceTime {
  readonly bestMs: number
  readonly peakMs: number
  readonly atMs: number
}

/** Assumed time of a kernel that a node has never run. */
const UNKNOWN_SERVICE_MS = 100
/** A peak counts half after this long: else one slow first run would keep a node from ever being asked again. */
const PEAK_HALF_LIFE_MS = 10_000
/** Weight of a new sample when it is faster than the average; slower ones count at once (peak-EWMA). */
const DECAY = 0.2

export class Directory {
  readonly #members = new Map<string, Member>()
  readonly #nowMs: () => number
  /** Reason by node id, until the hub restarts. */
  readonly #quarantined = new Map<string, string>()

  readonly #onChange: (member: Member, isHere: boolean) => void

  /** @param onChange told of each member that came, left, or is seen otherwise */
  constructor(
    nowMs: () => number = Date.now,
    onChange: (member: Member, isHere: boolean) => void = () => {},
  ) {
    this.#nowMs = nowMs
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
    const [oldest] = this.#quarantined.keys()
    if (this.#quarantined.size >= LIMITS.quarantineKept && oldest !== undefined)
      this.#quarantined.delete(oldest)
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

  views(work: Work): NodeView[] {
    return [...this.#members.values()].map((member) => viewOf(member, work, this.#nowMs()))
  }

  recordService(member: Member, work: Work, sampleMs: number): void {
    const key = workKey(work)
    const known = member.serviceMs.get(key)
    const atMs = this.#nowMs()
    const before = known === undefined ? undefined : expectedMs(known, atMs)
    const peakMs =
      before === undefined || sampleMs > before ? sampleMs : before + (sampleMs - before) * DECAY
    const bestMs = Math.min(sampleMs, known?.bestMs ?? sampleMs)
    member.serviceMs.set(key, { bestMs, peakMs, atMs })
    if (member.serviceMs.size > 256)
      member.serviceMs.delete(member.serviceMs.keys().next().value ?? key)
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

function viewOf(member: Member, work: Work, nowMs: number): NodeView {
  const { presence, link } = member
  const known = member.serviceMs.get(workKey(work))
  return {
    nodeId: presence.nodeId,
    facts: factsOf(member),
    models: presence.models,
    kernels: presence.kernels,
    maxJobs: presence.maxJobs,
    inFlight: link.inFlight(),
    rttMs: finite(link.rttMs()),
    isMeasured: known !== undefined || 'model' in work,
    serviceMs: known === undefined ? admittedMs(presence, work) : expectedMs(known, nowMs),
  }
}

function admittedMs(presence: PresenceRecord, work: Work): number {
  if (!('model' in work)) return UNKNOWN_SERVICE_MS
  return presence.models.find((model) => model.id === work.model)?.serviceMs ?? UNKNOWN_SERVICE_MS
}

function workKey(work: Work): string {
  return 'model' in work ? work.model : work.digest
}
