/** The live nodes of one hub, with their places and records. In memory only. */
import type { NetworkNode } from '#shared/api/network.ts'
import { BoundedMap } from '#shared/base/bounded-map.ts'
import type { Work } from '#shared/job/job.ts'
import { LIMITS } from '#shared/base/limits.ts'
import type { PresenceRecord, SignedPresence } from '#shared/node/node.ts'
import { countryCode } from '#shared/law/region.ts'
import type { WorkLink } from '#p2p/work/work-client.ts'
import { createConduct, type Conduct, QUARANTINE_KEPT } from '#worker/hub/choice/conduct.ts'
import type { MemberEvidence } from '#worker/hub/place/member-evidence.ts'
import type { Admission, NodeStanding } from '#worker/protocols/hub.ts'
import type { NodeView } from '#worker/hub/choice/choice.ts'
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
  /** The current conclusion about its place. */
  readonly evidence: MemberEvidence
  readonly link: WorkLink
  presence: PresenceRecord
  signedPresence: SignedPresence
  quarantine: string | null
  jobsDone: number
  readonly serviceMs: ServiceTimes
}

/** Assumed time of work that no node has run here. A node's claim about its own speed is ignored. */
const UNKNOWN_SERVICE_MS = 100
/** A node gets one job of a kind at a time until it has answered one. Each answer doubles that. */
const MOST_DOUBLINGS = Math.log2(LIMITS.nodeJobsInFlight)
/** Weights of answers in a node's standing: to this work, to other work, none. Failures divide the standing. */
const MOST_ANSWERS = 8
const OTHER_ANSWERS = 1 / 64
const NO_ANSWERS = 1 / 4_096

export class Directory {
  readonly #members = new Map<string, Member>()
  readonly #nowMs: () => number
  /** Reason by node id, until the hub restarts. */
  readonly #quarantined = new BoundedMap<string, string>(QUARANTINE_KEPT)
  readonly #conduct: Conduct
  readonly #heardMs = new WeakMap<Member, number>()
  /** Members that still have a job that they were silent on. */
  readonly #onProbation = new WeakSet<Member>()
  /** Nodes that have answered a job since the hub started. */
  readonly #proven = new BoundedMap<string, true>(QUARANTINE_KEPT)

  readonly #onChange: (member: Member, isHere: boolean) => void

  /** @param onChange called for each member that came, left, or changed */
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

  /** Adds a member. A reconnect does not end a quarantine. */
  add(member: Member): void {
    member.quarantine ??= this.#quarantined.get(member.admission.nodeId) ?? null
    this.#members.set(member.admission.nodeId, member)
    this.#onChange(member, true)
  }

  /** Removes a member, unless a newer connection of the same node has replaced it. */
  remove(member: Member): void {
    if (this.#members.get(member.admission.nodeId) !== member) return
    this.#members.delete(member.admission.nodeId)
    this.#onChange(member, false)
  }

  /** Applies a new conclusion about the member's place: a refutation takes its work away, and its end restores it. */
  judge(member: Member, refutation: string | null): void {
    const before = member.quarantine
    const other = this.#quarantined.get(member.admission.nodeId) ?? null
    member.quarantine = refutation ?? other ?? otherClaim(member)
    if (member.quarantine !== before || this.#members.get(member.admission.nodeId) === member)
      this.#onChange(member, true)
  }

  /** Gives this node no more work, now and after a reconnect. */
  quarantine(member: Member, reason: string): void {
    const { nodeId } = member.admission
    member.quarantine = reason
    this.#quarantined.set(nodeId, reason)
    this.#onChange(member, true)
  }

  /** Takes a newer presence record of a connected node. Ignores unknown nodes and older records. */
  refresh(record: PresenceRecord, signed: SignedPresence): void {
    const member = this.#members.get(record.nodeId)
    if (member === undefined || record.sequence <= member.presence.sequence) return
    member.presence = record
    member.signedPresence = signed
    member.quarantine = otherClaim(member) ?? member.quarantine
    this.#onChange(member, true)
  }

  /** Describes each node for the choice. Nodes never measured at this work get the median of the others. */
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

  /** The slowest of the node's recent answers to this work, scaled to `units`; undefined if it has given none. */
  slowestMs(member: Member, work: Work, units: number): number | undefined {
    return slowestMs(timeOf(member.serviceMs, work), units)
  }

  /** The median of the other nodes' slowest answers. */
  othersMs(member: Member, work: Work, units: number): number | undefined {
    const others = this.members().filter((other) => other !== member)
    return middleOf(others.flatMap((other) => this.slowestMs(other, work, units) ?? []))
  }

  heard(member: Member): void {
    this.#heardMs.set(member, this.#nowMs())
  }

  /** Time of the last {@link heard}; 0 for never. */
  heardMs(member: Member): number {
    return this.#heardMs.get(member) ?? 0
  }

  answered(member: Member): void {
    const { nodeId } = member.admission
    this.heard(member)
    this.#conduct.answered(nodeId)
    this.#proven.set(nodeId, true)
  }

  hasAnswered(nodeId: string): boolean {
    return this.#proven.has(nodeId)
  }

  /** The node ended a job without an answer. Others are preferred for a while. */
  failed(member: Member): void {
    this.#conduct.failed(member.admission.nodeId)
  }

  /** The node was silent on a job. Others are preferred for a while. */
  suspect(member: Member): void {
    this.#conduct.suspect(member.admission.nodeId)
  }

  /**
   * Leaves the node with a job that it was silent on, to see whether it ever ends it. Others are preferred meanwhile.
   * Silences at the same time count as one.
   * @returns false when it is on probation already
   */
  putOnProbation(member: Member): boolean {
    if (this.#onProbation.has(member)) return false
    this.#onProbation.add(member)
    return true
  }

  endProbation(member: Member): void {
    this.#onProbation.delete(member)
  }

  /** The node never ended its probation's job. It counts as slow, and is disconnected the second time. */
  silent(member: Member, work: Work, about: Answered): void {
    recordSilence(member.serviceMs, work, { ...about, atMs: this.#nowMs() })
    if (!this.#conduct.silent(member.admission.nodeId)) return
    this.remove(member)
    member.link.close().catch(() => {})
  }

  /** Time until a disconnected node may come back, in ms. */
  barredMs(nodeId: string): number {
    return this.#conduct.barredMs(nodeId)
  }

  /** Returns each node as the residency decision sees it, for dry runs of a policy. */
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

/** The reason against a node whose presence claims another country than its admission. */
function otherClaim({ presence, admission }: Member): string | null {
  if (presence.claim === admission.claim) return null
  return `The presence record claims ${presence.claim}; the node was admitted with ${admission.claim}.`
}

export function factsOf({ evidence, admission, quarantine }: Member): NodeView['facts'] {
  const { networks } = admission
  return { ...evidence.place(), networks, quarantined: quarantine !== null }
}

/** The link has no round trip before its first pong, and JSON has no Infinity. */
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
