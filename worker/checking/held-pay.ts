/** Pay that is held until its node has passed more checks and time. A conviction voids what is held. */

/** Agreed checks that must follow before pay is released, and the most at a high rate of earning. */
const HOLD_CHECKS = 50
const MOST_HOLD_CHECKS = 80
/** More checks for each doubling of the rate of earning above the typical one. */
const CHECKS_A_DOUBLING = 10
const HOLD_MS = 600_000
const MOST_HOLD_MS = 6 * HOLD_MS
/** More lots than this are merged into the newer one, which is released later. */
const MOST_LOTS = 2 * MOST_HOLD_CHECKS

export interface Hold {
  readonly checks: number
  readonly ms: number
}

/** @param earning the node's rate of earning, divided by the typical one of its kind */
export function holdOf(earning: number): Hold {
  const doublings = Math.log2(Math.max(1, earning))
  return {
    checks: Math.min(MOST_HOLD_CHECKS, HOLD_CHECKS + Math.ceil(CHECKS_A_DOUBLING * doublings)),
    ms: Math.min(MOST_HOLD_MS, HOLD_MS * Math.max(1, earning)),
  }
}

/** What a node earned between two of its agreed checks. */
export interface Lot {
  /** `passed` of its standing then. Receipts carry it, so that the ledger knows which are released. */
  readonly passed: number
  lastMs: number
  microUsd: number
}

export class HeldPay {
  #lots: Lot[]

  constructor(lots: readonly Lot[] = []) {
    this.#lots = lots.map((lot) => ({ ...lot }))
  }

  get microUsd(): number {
    return this.#lots.reduce((sum, lot) => sum + lot.microUsd, 0)
  }

  add(microUsd: number, passed: number, nowMs: number): void {
    const last = this.#lots.at(-1)
    if (last?.passed === passed) {
      last.microUsd += microUsd
      last.lastMs = nowMs
      return
    }
    this.#lots.push({ passed, lastMs: nowMs, microUsd })
    const [oldest, next] = this.#lots
    if (this.#lots.length <= MOST_LOTS || oldest === undefined || next === undefined) return
    next.microUsd += oldest.microUsd
    this.#lots.shift()
  }

  /** Releases what has been held for long enough: everything earned up to the returned `passed`, or undefined. */
  release(passed: number, nowMs: number, hold: Hold): Lot | undefined {
    let released: Lot | undefined
    for (;;) {
      const [lot] = this.#lots
      if (lot === undefined || lot.passed + hold.checks > passed) return released
      if (lot.lastMs + hold.ms > nowMs) return released
      this.#lots.shift()
      released = { ...lot, microUsd: lot.microUsd + (released?.microUsd ?? 0) }
    }
  }

  /** Voids all of it, and returns how much that was in micro-dollars. */
  void(): number {
    const { microUsd } = this
    this.#lots = []
    return microUsd
  }

  lots(): readonly Lot[] {
    return this.#lots.map((lot) => ({ ...lot }))
  }
}
