/** Whether answers are believed: joins standing, rate, verdicts and held pay. It needs no runtime. */
import { BoundedMap } from '#shared/base/bounded-map.ts'
import { CheckedNode, type NodeRow } from './checked-node.ts'
import type { Party } from './checker.ts'
import { holdOf, type Lot } from './held-pay.ts'
import { growthOf, KindState, type KindRow } from './kind-state.ts'
import { checkRate } from './rate.ts'
import { REPORTER_MEMORY_MS, Reporters, type ReporterRow } from './reporters.ts'
import {
  afterAgreed,
  afterInconclusive,
  afterLoss,
  afterSibling,
  canServe,
  ENTRY_CHECKS,
  newStanding,
} from './standing.ts'
import type { Outcome, Vote } from './verdict.ts'

/** Time between two checks of a newcomer: ten of them take half a minute. */
export const ENTRY_CHECK_MS = 3_000
const MOST_NEWCOMERS = 50_000
const MOST_KNOWN = 200_000
const MOST_KINDS = 4_096

export interface CheckingDeps {
  readonly nowMs: () => number
  /** Uniform in 0…1, 1 excluded; nodes must not be able to predict it. */
  readonly random: () => number
}

export interface Joining extends Party {
  /** The kind of work: a model's digest, or a kernel's. */
  readonly kind: string
  readonly isVouched: boolean
}

/** What a verdict did to one node. */
export interface Effect {
  readonly node: CheckedNode
  /** `ignored`: it was convicted before. */
  readonly kind: 'agreed' | 'suspected' | 'convicted' | 'ignored'
  /** Pay that may be paid now: all that was earned up to its `passed`. */
  readonly released?: Lot | undefined
  readonly voidedMicroUsd?: number
}

/** All durable state, as plain data. */
export interface CheckingRows {
  readonly nodes: readonly NodeRow[]
  readonly kinds: readonly KindRow[]
  readonly reporters: readonly ReporterRow[]
}

export class Checking {
  readonly #deps: CheckingDeps
  /** A flood of new keys displaces only newcomers. */
  readonly #newcomers = new BoundedMap<string, CheckedNode>(MOST_NEWCOMERS)
  readonly #known = new BoundedMap<string, CheckedNode>(MOST_KNOWN)
  readonly #kinds = new BoundedMap<string, KindState>(MOST_KINDS)
  readonly #reporters: Reporters

  constructor(deps: CheckingDeps, rows?: CheckingRows) {
    this.#deps = deps
    this.#reporters = new Reporters(rows?.reporters)
    for (const row of rows?.kinds ?? []) this.#kinds.set(row.kind, new KindState(row.kind, row))
    for (const row of rows?.nodes ?? []) this.#keep(new CheckedNode(row, deps.nowMs()))
  }

  /** The node as it is known, or as a newcomer. A conviction is forgotten after a month. */
  join({ key, reporter, network, kind, isVouched }: Joining): CheckedNode {
    const nowMs = this.#deps.nowMs()
    const name = nameOf(key, kind)
    const known = this.#known.get(name) ?? this.#newcomers.get(name)
    if (known !== undefined && !isForgotten(known, nowMs)) return known
    const siblings = this.#reporters.convictions(reporter, nowMs)
    const standing = newStanding({ isVouched, convictions: siblings, nowMs })
    const node = new CheckedNode(
      { key, reporter, network, kind, standing, lots: [], siblings },
      nowMs,
    )
    this.#known.delete(name)
    this.#keep(node)
    return node
  }

  /** Counts a job that the node is to answer, and decides whether it is checked. */
  isChecked(node: CheckedNode, priceMicroUsd: number): boolean {
    const nowMs = this.#deps.nowMs()
    const kind = this.#kind(node.kind)
    const worth = kind.countJob(priceMicroUsd, nowMs)
    node.pace.count(nowMs)
    this.#noteSiblings(node, nowMs)
    const growth = growthOf(node.pace, kind.pace)
    const { isAlarmed } = kind
    if (this.#deps.random() >= checkRate(node.standing, { worth, growth, isAlarmed })) return false
    kind.spend()
    return true
  }

  /** Whether a check of this newcomer is due. A check that is due counts as given. */
  isEntryDue(node: CheckedNode): boolean {
    const { sinceMs, convictedAtMs } = node.standing
    const nowMs = this.#deps.nowMs()
    if (sinceMs !== null || convictedAtMs !== null || node.entryDueMs > nowMs) return false
    // Longer entries are slower too, so that a convicted reporter's new keys cost little work.
    node.entryDueMs = nowMs + ENTRY_CHECK_MS * (node.standing.needed / ENTRY_CHECKS)
    return true
  }

  /** Holds pay for an answer. The receipt carries the returned `passed`. */
  hold(node: CheckedNode, microUsd: number): number {
    const { passed } = node.standing
    node.held.add(microUsd, passed, this.#deps.nowMs())
    return passed
  }

  /**
   * Applies an outcome to those who voted.
   * @param isGross whether a losing answer is far outside its tolerance
   */
  apply<T extends CheckedNode>(
    votes: readonly Vote<T>[],
    outcome: Outcome,
    isGross: (vote: Vote<T>) => boolean,
  ): Effect[] {
    if (outcome.kind === 'open') return []
    if (outcome.kind === 'inconclusive') {
      for (const { node } of votes) node.standing = afterInconclusive(node.standing)
      return []
    }
    const { claim } = outcome
    const sides = Map.groupBy(votes, (vote) => vote.claim === claim)
    const winners = (sides.get(true) ?? []).map(({ node }) => node)
    return [
      ...winners.filter((node) => this.#isBacked(node, winners)).map((node) => this.agree(node)),
      ...(sides.get(false) ?? []).map((vote) => this.lose(vote.node, isGross(vote))),
    ]
  }

  /** A check agreed, or the node gave the known answer of a canary. */
  agree(node: CheckedNode): Effect {
    const nowMs = this.#deps.nowMs()
    if (node.standing.convictedAtMs !== null) return { node, kind: 'ignored' }
    node.standing = afterAgreed(node.standing, nowMs)
    this.#keep(node)
    const hold = holdOf(this.#earningOf(node))
    return { node, kind: 'agreed', released: node.held.release(node.standing.passed, nowMs, hold) }
  }

  /** The node's answer is wrong: others agree against it, or the answer was known. */
  lose(node: CheckedNode, isGross: boolean): Effect {
    const nowMs = this.#deps.nowMs()
    if (node.standing.convictedAtMs !== null) return { node, kind: 'ignored' }
    const couldServe = canServe(node.standing)
    node.standing = afterLoss(node.standing, { isGross, nowMs })
    if (node.standing.convictedAtMs === null) return { node, kind: 'suspected' }
    // The next key of a convicted reporter is suspected anyway, and says nothing about others.
    const isFirst = this.#reporters.convict(node.reporter, nowMs) === 1
    if (couldServe && isFirst) this.#kind(node.kind).alarm()
    this.#keep(node)
    return { node, kind: 'convicted', voidedMicroUsd: node.held.void() }
  }

  rows(): CheckingRows {
    return {
      nodes: [...this.#newcomers.values(), ...this.#known.values()].map((node) => node.row()),
      kinds: [...this.#kinds.values()].map((kind) => kind.row()),
      reporters: this.#reporters.rows(),
    }
  }

  /** Agreement counts when one of those who agree has standing, or nobody of this kind has. */
  #isBacked(node: CheckedNode, winners: readonly CheckedNode[]): boolean {
    const others = winners.filter((other) => other !== node)
    return others.length > 0 && (others.some(hasStanding) || this.#kind(node.kind).proven === 0)
  }

  #noteSiblings(node: CheckedNode, nowMs: number): void {
    const convictions = this.#reporters.convictions(node.reporter, nowMs)
    if (convictions > node.siblings) node.standing = afterSibling(node.standing)
    node.siblings = convictions
  }

  #earningOf(node: CheckedNode): number {
    const { pace, proven } = this.#kind(node.kind)
    if (pace.jobsBefore === 0 || node.pace.window !== pace.window) return 1
    return (node.pace.jobsBefore * proven) / pace.jobsBefore
  }

  #kind(name: string): KindState {
    const known = this.#kinds.get(name)
    if (known !== undefined) return known
    const kind = new KindState(name)
    this.#kinds.set(name, kind)
    return kind
  }

  #keep(node: CheckedNode): void {
    const name = nameOf(node.key, node.kind)
    const { convictedAtMs } = node.standing
    if (!canServe(node.standing) && convictedAtMs === null) {
      this.#newcomers.set(name, node)
      return
    }
    this.#newcomers.delete(name)
    this.#known.set(name, node)
    this.#kind(node.kind).setProven(node.key, convictedAtMs === null)
  }
}

function hasStanding({ standing }: CheckedNode): boolean {
  return canServe(standing)
}

function isForgotten({ standing: { convictedAtMs } }: CheckedNode, nowMs: number): boolean {
  return convictedAtMs !== null && convictedAtMs + REPORTER_MEMORY_MS < nowMs
}

function nameOf(key: string, kind: string): string {
  return `${kind} ${key}`
}
