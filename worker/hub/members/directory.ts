/** The live nodes of one hub: who is connected, where it stands, how it has done. In memory only. */
import type { NetworkNode } from '#shared/api/network.ts'
import { BoundedMap } from '#shared/base/bounded-map.ts'
import type { Work } from '#shared/job/job.ts'
import { LIMITS } from '#shared/base/limits.ts'
import type { PresenceRecord, SignedPresence } from '#shared/node/node.ts'
import { countryCode } from '#shared/law/region.ts'
import type { WorkLink } from '#p2p/work/work-client.ts'
import { createConduct, type Conduct } from '#worker/hub/choice/conduct.ts'
import type { MemberEvidence } from '#worker/hub/place/member-evidence.ts'
import type { Admission, NodeStanding } from '#worker/protocols/hub.ts'
import type { NodeView } from '#worker/hub/choice/schedule.ts'
import {
  expectedMs,
  middleOf,
  recordAnswer,
  recordSilence,
  slowestMs,
  timeOf,
  type Answered,
  type ServiceTimes,
} from './service-times.ts'

export interface Member {
  readonly admission: Pick<Admission, 'nodeId' | 'claim' | 'networks' | 'voucher' | 'reporter'>
  /** Where it stands, as far as that is known now. */
  readonly evidence: MemberEvidence
  readonly link: WorkLink
  presence: PresenceRecord
  signedPresence: SignedPresence
  quarantine: string | null
  jobsDone: number
  readonly serviceMs: ServiceTimes
}

/** Assumed time of work that no node has ever run here. What a node says of its own speed is not asked. */
const UNKNOWN_SERVICE_MS = 100
/** A node gets one job of a kind of work at a time until it has answered one, and then twice as many with each answer. */
const MOST_DOUBLINGS = Math.log2(LIMITS.nodeJobsInFlight)
/** What answers weigh in a node's standing: to this work each, up to so many; to any work; none. Its failures divide it. */
const MOST_ANSWERS = 8
const OTHER_ANSWERS = 1 / 64
const NO_ANSWERS = 1 / 4_096

export class Directory {
  readonly #members = new Map<string, Member>()
  readonly #nowMs: () => number
  /** Reason by node id, until the hub restarts. */
  readonly #quarantined = new BoundedMap<string, string>(LIMITS.quarantineKept)
  readonly #conduct: Conduct
  readonly #heardMs = new WeakMap<Member, number>()
  /** Members that are left with a job that they were silent on. */
  readonly #onProbation = new WeakSet<Member>()
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
  views(work: Work, units: number): NodeView[] {
    const nowMs = this.#nowMs()
    const known = [...this.#members.values()].map((member) => {
      const time = timeOf(member.serviceMs, work)
      const answers = time?.recent.length ?? 0
      return { member, answers, ms: time === undefined ? 0 : expectedMs(time, { units, nowMs }) }
    })
    const measured = known.filter(({ answers }) => answers > 0).map(({ ms }) => ms)
    const middleMs = middleOf(measured) ?? UNKNOWN_SERVICE_MS
    return known.map(({ member, answers, ms }) => ({
      ...viewOf(member),
      ...this.#conductOf(member, answers),
      isMeasured: answers > 0,
      serviceMs: answers > 0 ? ms : Math.max(ms, middleMs),
      slots: 2 ** Math.min(answers, MOST_DOUBLINGS),
    }))
  }

  #conductOf(
    member: Member,
    answers: number,
  ): Pick<NodeView, 'isSuspect' | 'isBehind' | 'standing'> {
    const { nodeId } = member.admission
    const failures = this.#conduct.failures(nodeId)
    const isProven = this.hasAnswered(nodeId)
    const isSilent = this.#onProbation.has(member) || this.#conduct.isSuspect(nodeId)
    const weight = Math.min(answers, MOST_ANSWERS) || (isProven ? OTHER_ANSWERS : NO_ANSWERS)
    return {
      isSuspect: isSilent || this.#conduct.isDoubted(nodeId),
      isBehind: failures > 0 && !isProven,
      standing: isSilent ? 0 : weight / (1 + failures),
    }
  }

  recordService(member: Member, work: Work, answered: Answered): void {
    recordAnswer(member.serviceMs, work, { ...answered, atMs: this.#nowMs() })
  }

  /** The slowest of the node's last answers to this work, for a job of so many units; undefined when it has given none. */
  slowestMs(member: Member, work: Work, units: number): number | undefined {
    return slowestMs(timeOf(member.serviceMs, work), units)
  }

  /** The middle one of what the slowest answers of the others were. */
  othersMs(member: Member, work: Work, units: number): number | undefined {
    const others = this.members().filter((other) => other !== member)
    return middleOf(others.flatMap((other) => this.slowestMs(other, work, units) ?? []))
  }

  /** The node has said its word on a job, whichever. */
  heard(member: Member): void {
    this.#heardMs.set(member, this.#nowMs())
  }

  /** When that was last; 0 for never. */
  heardMs(member: Member): number {
    return this.#heardMs.get(member) ?? 0
  }

  answered(member: Member): void {
    const { nodeId } = member.admission
    this.heard(member)
    this.#conduct.answered(nodeId)
    const [oldest] = this.#proven
    if (this.#proven.size >= LIMITS.quarantineKept && oldest !== undefined)
      this.#proven.delete(oldest)
    this.#proven.add(nodeId)
  }

  hasAnswered(nodeId: string): boolean {
    return this.#proven.has(nodeId)
  }

  /** It ended a job without an answer: for a while others are asked before it. */
  failed(member: Member): void {
    this.#conduct.failed(member.admission.nodeId)
  }

  /** It was silent on a job: for a while others are asked before it. */
  suspect(member: Member): void {
    this.#conduct.suspect(member.admission.nodeId)
  }

  /**
   * It is left with a job that it was silent on, to see whether it ever ends it; others are asked before it meanwhile.
   * One at a time: silences of one moment are one.
   * @returns false when it is left with one already
   */
  putOnProbation(member: Member): boolean {
    if (this.#onProbation.has(member)) return false
    this.#onProbation.add(member)
    return true
  }

  endProbation(member: Member): void {
    this.#onProbation.delete(member)
  }

  /** It never ended the job that it was left with: it counts as slow at that work, and the second time it loses its place. */
  silent(member: Member, work: Work, about: Answered): void {
    recordSilence(member.serviceMs, work, { ...about, atMs: this.#nowMs() })
    if (!this.#conduct.silent(member.admission.nodeId)) return
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

function viewOf(
  member: Member,
): Omit<NodeView, 'isSuspect' | 'isBehind' | 'standing' | 'isMeasured' | 'serviceMs' | 'slots'> {
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
