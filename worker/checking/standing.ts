/** What a node has shown for one kind of work, and what each check changes. Plain data, so that it can be stored. */

export interface Standing {
  /** Consecutive agreed checks. */
  readonly agreed: number
  /** Agreed checks in all. It marks when pay was earned, so it never falls. */
  readonly passed: number
  /** Consecutive agreed checks that the node needs before it serves. */
  readonly needed: number
  readonly origin: 'vouched' | 'earned'
  /** When it got its standing; null before. */
  readonly sinceMs: number | null
  /** Checks that are still taken at the higher rate. */
  readonly suspicion: number
  /** Narrow losses in a row, none of them long after the one before. */
  readonly losses: number
  /** `passed` at the last narrow loss. */
  readonly lostAt: number
  readonly convictedAtMs: number | null
}

/** Consecutive agreed checks before a node without a voucher serves. */
export const ENTRY_CHECKS = 10
/** Each conviction of the same reporter doubles the entry, up to 320 checks. */
const MOST_DOUBLINGS = 5
/** Checks at the higher rate after a narrow loss, an inconclusive verdict, a sibling's conviction, a longer entry. */
const SUSPICION = { loss: 20, inconclusive: 5, sibling: 10, entry: 20 } as const
/** A third narrow loss convicts, unless the node has passed this many checks since the last one. */
const LOSS_MEMORY_CHECKS = 100
const LOSSES_TO_CONVICT = 3

export interface Entry {
  readonly isVouched: boolean
  /** Remembered convictions of the same reporter. */
  readonly convictions: number
  readonly nowMs: number
}

/** A vouched node begins with standing, unless its reporter was convicted. */
export function newStanding({ isVouched, convictions, nowMs }: Entry): Standing {
  const isTrusted = isVouched && convictions === 0
  return {
    agreed: isTrusted ? ENTRY_CHECKS : 0,
    passed: 0,
    needed: isTrusted ? 0 : ENTRY_CHECKS * 2 ** Math.min(convictions, MOST_DOUBLINGS),
    origin: isTrusted ? 'vouched' : 'earned',
    sinceMs: isTrusted ? nowMs : null,
    suspicion: 0,
    losses: 0,
    lostAt: 0,
    convictedAtMs: null,
  }
}

/** Whether the node may answer a tenant alone. */
export function canServe({ sinceMs, convictedAtMs }: Standing): boolean {
  return sinceMs !== null && convictedAtMs === null
}

export function afterAgreed(standing: Standing, nowMs: number): Standing {
  const agreed = standing.agreed + 1
  const passed = standing.passed + 1
  const isEntered = standing.sinceMs === null && agreed >= standing.needed
  const isSuspect = isEntered && standing.needed > ENTRY_CHECKS
  return {
    ...standing,
    agreed,
    passed,
    sinceMs: isEntered ? nowMs : standing.sinceMs,
    suspicion: isSuspect ? SUSPICION.entry : Math.max(0, standing.suspicion - 1),
  }
}

/** Costs nothing but a higher rate. */
export function afterInconclusive(standing: Standing): Standing {
  return { ...standing, suspicion: Math.max(standing.suspicion, SUSPICION.inconclusive) }
}

/** Another node of the same reporter was convicted. */
export function afterSibling(standing: Standing): Standing {
  return { ...standing, suspicion: Math.max(standing.suspicion, SUSPICION.sibling) }
}

export interface Loss {
  /** The answer is far outside its tolerance; devices do not differ that much. */
  readonly isGross: boolean
  readonly nowMs: number
}

/** A gross loss convicts. A narrow one may come from the device, so it convicts when it happens again. */
export function afterLoss(standing: Standing, { isGross, nowMs }: Loss): Standing {
  const isOld = standing.passed - standing.lostAt > LOSS_MEMORY_CHECKS
  const losses = (isOld ? 0 : standing.losses) + 1
  if (isGross || losses >= LOSSES_TO_CONVICT)
    return { ...standing, agreed: 0, sinceMs: null, convictedAtMs: nowMs }
  return {
    ...standing,
    agreed: standing.sinceMs === null ? 0 : Math.min(standing.agreed, ENTRY_CHECKS),
    suspicion: SUSPICION.loss,
    losses,
    lostAt: standing.passed,
  }
}
