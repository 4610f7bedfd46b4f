/** The members as the choice sees them. A roster is kept for each work, so that a choice allocates nothing for each node. */
import { LIMITS } from '#shared/base/limits.ts'
import type { Work } from '#shared/job/job.ts'
import type { NodeFacts } from '#shared/law/decide.ts'
import type { Place } from '#shared/receipt/receipt.ts'
import type { NodeView } from '#worker/hub/choice/choice.ts'
import type { Member } from './directory.ts'
import { expectedMs, middleOf, timeOf, workKey, type ServiceTime } from './service-times.ts'
import type { NodeSlots, Slots } from './slots.ts'

/** Assumed time of work that no node has run here. A node's claim about its own speed is ignored. */
const UNKNOWN_SERVICE_MS = 100
/** How long the median of the measured nodes is kept. It stands in for nodes that are not measured. */
const MIDDLE_KEPT_MS = 1_000
/** A node gets one job of a kind at a time until it has answered one. Each answer doubles that. */
const MOST_DOUBLINGS = Math.log2(LIMITS.nodeJobsInFlight)

export interface RosterDeps {
  readonly slots: Slots
  factsOf(member: Member, place: Place): NodeFacts
  isSuspect(member: Member): boolean
  isBehind(member: Member): boolean
  /** @param answers number of the node's recent answers to this work */
  standingOf(member: Member, answers: number): number
}

export class Roster {
  readonly deps: RosterDeps
  readonly #candidates: readonly Candidate[]
  /** By size of the job, in powers of two. */
  readonly #middles = new Map<number, { readonly ms: number; readonly atMs: number }>()
  units = 1
  nowMs = 0

  constructor(members: Iterable<Member>, work: Work, deps: RosterDeps) {
    this.deps = deps
    this.#candidates = Array.from(members, (member) => new Candidate(this, member, work))
  }

  /** The members for a job of this size. The views are live, and hold until the next call. */
  at(units: number, nowMs: number): readonly NodeView[] {
    this.units = units
    this.nowMs = nowMs
    return this.#candidates
  }

  /** The median time of the measured nodes. */
  middleMs(): number {
    const size = 32 - Math.clz32(this.units)
    const kept = this.#middles.get(size)
    if (kept !== undefined && this.nowMs - kept.atMs < MIDDLE_KEPT_MS) return kept.ms
    const measured = this.#candidates.filter(({ isMeasured }) => isMeasured)
    const ms = middleOf(measured.map(({ serviceMs }) => serviceMs)) ?? UNKNOWN_SERVICE_MS
    this.#middles.set(size, { ms, atMs: this.nowMs })
    return ms
  }
}

class Candidate implements NodeView {
  readonly nodeId: string
  readonly #roster: Roster
  readonly #member: Member
  readonly #key: string
  readonly #time: ServiceTime | undefined
  readonly #taken: NodeSlots
  #place: Place | undefined
  #facts: NodeFacts | undefined

  constructor(roster: Roster, member: Member, work: Work) {
    this.nodeId = member.presence.nodeId
    this.#roster = roster
    this.#member = member
    this.#key = workKey(work)
    this.#time = timeOf(member.serviceMs, work)
    this.#taken = roster.deps.slots.of(this.nodeId)
  }

  /** Made anew only when the place or the quarantine has changed. */
  get facts(): NodeFacts {
    const place = this.#member.evidence.place()
    const isOut = this.#member.quarantine !== null
    if (this.#facts === undefined || place !== this.#place || isOut !== this.#facts.quarantined)
      this.#facts = this.#roster.deps.factsOf(this.#member, place)
    this.#place = place
    return this.#facts
  }

  get models(): NodeView['models'] {
    return this.#member.presence.models
  }

  get kernels(): NodeView['kernels'] {
    return this.#member.presence.kernels
  }

  get features(): NodeView['features'] {
    return this.#member.presence.features
  }

  get maxJobs(): number {
    return this.#member.presence.maxJobs
  }

  get inFlight(): number {
    return Math.max(this.#member.link.inFlight(), this.#taken.all)
  }

  get headMs(): number {
    const { all, sinceMs } = this.#taken
    return all === 0 ? 0 : this.#roster.nowMs - sinceMs
  }

  get ofThisWork(): number {
    return this.#taken.byWork.get(this.#key) ?? 0
  }

  get slots(): number {
    return 2 ** Math.min(this.#answers, MOST_DOUBLINGS)
  }

  get rttMs(): number {
    return finite(this.#member.link.rttMs())
  }

  get isMeasured(): boolean {
    return this.#answers > 0
  }

  /** Nodes that were never measured at this work get the median of the others. */
  get serviceMs(): number {
    const ms = this.#time === undefined ? 0 : expectedMs(this.#time, this.#roster)
    return this.isMeasured ? ms : Math.max(ms, this.#roster.middleMs())
  }

  get reporter(): string {
    return this.#member.admission.reporter
  }

  get isSuspect(): boolean {
    return this.#roster.deps.isSuspect(this.#member)
  }

  get isBehind(): boolean {
    return this.#roster.deps.isBehind(this.#member)
  }

  get standing(): number {
    return this.#roster.deps.standingOf(this.#member, this.#answers)
  }

  get #answers(): number {
    return this.#time?.recent.length ?? 0
  }
}

/** The link has no round trip before its first pong, and JSON has no Infinity. */
export function finite(ms: number): number {
  return Number.isFinite(ms) ? ms : 0
}
