/** Chooses the node that checks: at random, of another reporter and network than all that have answered. */

/** Who a node is to a check. */
export interface Party {
  readonly key: string
  /** The voucher or the address block behind the node. */
  readonly reporter: string
  /** The network of its connection. */
  readonly network: string
}

export interface Choice<T> {
  /** Nodes that have answered this job already. */
  readonly answered: readonly Party[]
  /** Whether the job's own policy allows the node, and whether it has standing. Nothing overrides it. */
  readonly isAllowed: (candidate: T) => boolean
  /** Uniform in 0…1, 1 excluded. */
  readonly random: () => number
}

/** Draws before all candidates are looked through. */
const DRAWS = 8

/** Uniform among the candidates that fit; undefined when none does. */
export function chooseChecker<T extends Party>(
  candidates: readonly T[],
  { answered, isAllowed, random }: Choice<T>,
): T | undefined {
  const fits = (candidate: T) => isIndependent(candidate, answered) && isAllowed(candidate)
  for (let draw = 0; draw < DRAWS; draw += 1) {
    const candidate = candidates[Math.floor(random() * candidates.length)]
    if (candidate !== undefined && fits(candidate)) return candidate
  }
  const fitting = candidates.filter(fits)
  return fitting[Math.floor(random() * fitting.length)]
}

/** Whether the node shares no key, reporter or network with any of the others. */
export function isIndependent(candidate: Party, others: readonly Party[]): boolean {
  return others.every(
    ({ key, reporter, network }) =>
      key !== candidate.key && reporter !== candidate.reporter && network !== candidate.network,
  )
}
