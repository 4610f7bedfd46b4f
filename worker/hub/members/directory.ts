/** The live nodes of one hub, with their places and records. In memory only. */
import type { NetworkNode } from '#shared/api/network.ts'
import { BoundedMap } from '#shared/base/bounded-map.ts'
import type { Work } from '#shared/job/job.ts'
import type { PresenceRecord, SignedPresence } from '#shared/node/node.ts'
import { countryCode } from '#shared/law/region.ts'
import type { WorkLink } from '#p2p/work/work-client.ts'
import { createConduct, type Conduct, QUARANTINE_KEPT } from '#worker/hub/choice/conduct.ts'
import type { MemberEvidence } from '#worker/hub/place/member-evidence.ts'
import type { Admission, NodeStanding } from '#worker/protocols/hub.ts'
import type { NodeView } from '#worker/hub/choice/choice.ts'
import type { NodeMark } from '#worker/summary/node-mark.ts'
import { Lateness } from './lateness.ts'
import { otherClaim, tellConclusion } from './quarantine.ts'
import { createMarks, type Marks } from './marks.ts'
import { finite, Roster, type RosterDeps } from './roster.ts'
import {
  expectedMs,
  middleOf,
  recordAnswer,
  recordCut,
  recordSilence,
  slowestMs,
  timeOf,
  workKey,
  type Answered,
  type ServiceTimes,
} from './service-times.ts'
import { createSlots } from './slots.ts'

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

/** Works whose rosters are kept. */
const ROSTERS_KEPT = 64
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
  /** What hubs tell one another against nodes. */
  readonly marks: Marks
  /** Members whose own place refutes their claim. */
  readonly #refuted = new WeakMap<Member, string>()
  readonly #heardMs = new WeakMap<Member, number>()
  /** When the last answer that was measured came. */
  readonly #measuredMs = new WeakMap<Member, number>()
  readonly #slots = createSlots(() => this.#nowMs())
  readonly #lateness = new Lateness()
  /** By work, as of the last change of the members. */
  readonly #rosters = new BoundedMap<string, Roster>(ROSTERS_KEPT)
  readonly #rosterDeps: RosterDeps = {
    slots: this.#slots,
    factsOf,
    isSuspect: (member) =>
      this.#isSilent(member) || this.#conduct.isDoubted(member.admission.nodeId),
    isBehind: ({ admission: { nodeId } }) =>
      this.#conduct.failures(nodeId) > 0 && !this.hasAnswered(nodeId),
    standingOf: (member, answers) => this.#standingOf(member, answers),
  }
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
    this.marks = createMarks(nowMs)
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
    if (member.quarantine !== null) this.#refuted.set(member, member.quarantine)
    member.quarantine ??= this.#conductOf(member)
    this.#members.set(member.admission.nodeId, member)
    this.#rosters.clear()
    this.#onChange(member, true)
  }

  /** Removes a member, unless a newer connection of the same node has replaced it. */
  remove(member: Member): void {
    if (this.#members.get(member.admission.nodeId) !== member) return
    this.#members.delete(member.admission.nodeId)
    this.#slots.left(member.admission.nodeId)
    this.#rosters.clear()
    this.#onChange(member, false)
  }

  /** Applies a new conclusion about the member's place: a refutation takes its work away, and its end restores it. */
  judge(member: Member, refutation: string | null): void {
    if (refutation === null) this.#refuted.delete(member)
    else this.#refuted.set(member, refutation)
    const before = member.quarantine
    member.quarantine = this.#quarantineOf(member)
    if (member.quarantine !== before || this.#members.get(member.admission.nodeId) === member)
      this.#onChange(member, true)
  }

  /** Gives this node no more work, now and after a reconnect. */
  quarantine(member: Member, reason: string): void {
    const { nodeId } = member.admission
    member.quarantine = reason
    this.#quarantined.set(nodeId, reason)
    this.marks.quarantined(nodeId, reason)
    this.#onChange(member, true)
  }

  /** Its place as this hub finds it, its conduct here or at another hub, or a claim that it was not admitted with. */
  #quarantineOf(member: Member): string | null {
    return this.#refuted.get(member) ?? this.#conductOf(member) ?? otherClaim(member)
  }

  #conductOf({ admission: { nodeId } }: Member): string | null {
    return this.#quarantined.get(nodeId) ?? this.marks.quarantineOf(nodeId)
  }

  /** Takes what other hubs know against nodes. For connected nodes it begins and ends here. */
  heed(marks: readonly NodeMark[]): void {
    this.marks.heed(marks)
    for (const member of this.members()) {
      const quarantine = this.#quarantineOf(member)
      if (this.marks.barredMs(member.admission.nodeId) > 0) this.#sendAway(member)
      else if (quarantine !== member.quarantine) {
        member.quarantine = quarantine
        this.#onChange(member, true)
        tellConclusion(member)
      }
    }
  }

  #sendAway(member: Member): void {
    this.remove(member)
    member.link.close().catch(() => {})
  }

  /** Takes a newer presence record of a connected node. Ignores unknown nodes and older records. */
  refresh(record: PresenceRecord, signed: SignedPresence): void {
    const member = this.#members.get(record.nodeId)
    if (member === undefined || record.sequence <= member.presence.sequence) return
    member.presence = record
    member.signedPresence = signed
    member.quarantine = this.#quarantineOf(member)
    this.#onChange(member, true)
  }

  /**
   * Describes each node for the choice. The views are live, and hold until the next call for the same work. Nodes never
   * measured at this work get the median of the others.
   */
  views(work: Work, units: number): readonly NodeView[] {
    const key = workKey(work)
    const known = this.#rosters.get(key)
    const roster = known ?? new Roster(this.#members.values(), work, this.#rosterDeps)
    if (known === undefined) this.#rosters.set(key, roster)
    return roster.at(units, this.#nowMs())
  }

  /** Takes one of the node's slots. @returns gives it back */
  take(nodeId: string, work: Work): () => void {
    return this.#slots.take(nodeId, work)
  }

  #isSilent(member: Member): boolean {
    return this.#onProbation.has(member) || this.#conduct.isSuspect(member.admission.nodeId)
  }

  #standingOf(member: Member, answers: number): number {
    const { nodeId } = member.admission
    if (this.#isSilent(member)) return 0
    const weight =
      Math.min(answers, MOST_ANSWERS) || (this.hasAnswered(nodeId) ? OTHER_ANSWERS : NO_ANSWERS)
    return weight / (1 + this.#conduct.failures(nodeId))
  }

  /**
   * Records an answer. A node computes one job at a time, so the job's own time began when the answer before it came.
   * @param answered with the time between the job and its answer, which includes the round trip
   */
  recordService(member: Member, work: Work, answered: Answered): void {
    const own = this.#ownOf(member, work, answered)
    const isFirst = recordAnswer(member.serviceMs, work, { ...answered, ...own })
    if (isFirst) this.#rosters.delete(workKey(work))
  }

  /**
   * Records a job that was cut off because another node answered first. Only a late one says something about the node.
   * @param cut with the time since it was sent
   */
  recordCut(member: Member, work: Work, cut: Answered): void {
    const atMs = this.#nowMs()
    if (atMs < this.lateAtMs(member, work, { units: cut.units, sentMs: atMs - cut.ms })) return
    const { ownMs } = this.#ownOf(member, work, cut)
    recordCut(member.serviceMs, work, { ownMs, units: cut.units, atMs })
  }

  #ownOf(member: Member, work: Work, { ms, units }: Answered) {
    const atMs = this.#nowMs()
    const sinceLastMs = atMs - (this.#measuredMs.get(member) ?? -Infinity)
    this.#measuredMs.set(member, atMs)
    const wholeMs = ms - finite(member.link.rttMs())
    const isAlone = wholeMs <= sinceLastMs
    const ownMs = isAlone ? wholeMs : sinceLastMs
    const expected = this.ownMs(member, work, units)
    if (expected !== undefined) this.#lateness.record(kindOf(work, units), ownMs / expected)
    return { ownMs, isAlone, atMs }
  }

  /** The node's expected time for this work without the round trip; undefined if it has answered none. */
  ownMs(member: Member, work: Work, units: number): number | undefined {
    const time = timeOf(member.serviceMs, work)
    if (time === undefined || time.recent.length === 0) return undefined
    return Math.max(1, expectedMs(time, { units, nowMs: this.#nowMs() }))
  }

  /**
   * From when on a job is late on this node: it then has computed for longer than nearly all such jobs, measured by
   * what was expected. A job behind others counts from the last one's end. Infinity if too little is known.
   */
  lateAtMs(
    member: Member,
    work: Work,
    { units, sentMs }: { readonly units: number; readonly sentMs: number },
  ): number {
    const ownMs = this.ownMs(member, work, units)
    if (ownMs === undefined) return Infinity
    const beganMs = this.#slots.sinceMs(member.admission.nodeId)
    const fromMs = Math.max(sentMs + finite(member.link.rttMs()), beganMs)
    return fromMs + ownMs * this.#lateness.ratioOf(kindOf(work, units))
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
    this.#rosters.delete(workKey(work))
    const { nodeId } = member.admission
    if (!this.#conduct.silent(nodeId)) return
    this.marks.barred(nodeId, this.#conduct.barredMs(nodeId))
    this.#sendAway(member)
  }

  /** Time until a disconnected node may come back, in ms. */
  barredMs(nodeId: string): number {
    return Math.max(this.#conduct.barredMs(nodeId), this.marks.barredMs(nodeId))
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

/** Jobs of one work whose sizes are within a factor of two have one measure of lateness. */
function kindOf(work: Work, units: number): string {
  return `${workKey(work)} ${32 - Math.clz32(units)}`
}

/** The reason against a node whose presence claims another country than its admission. */

export function factsOf(member: Member, place = member.evidence.place()): NodeView['facts'] {
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
