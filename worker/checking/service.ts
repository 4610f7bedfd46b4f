/** How a job may be answered: by one node, by two that agree, or not at all. */

export type Verification = 'none' | 'sampled' | 'replicated'

export interface Available {
  /** Allowed nodes with standing, counted by independent parties. */
  readonly proven: number
  /** The same without standing. */
  readonly newcomers: number
}

/** A node without standing never answers alone. */
export function serviceOf(
  verification: Verification,
  { proven, newcomers }: Available,
): 'alone' | 'pair' | 'refused' {
  if (verification !== 'replicated' && proven > 0) return 'alone'
  // No second node may see the input, and one newcomer is not believed.
  if (verification === 'none') return 'refused'
  return proven + newcomers > 1 ? 'pair' : 'refused'
}

const ORDER: readonly Verification[] = ['none', 'sampled', 'replicated']

/** A request may ask for more than its policy, never for less. */
export function strongerOf(policy: Verification, request: Verification | undefined): Verification {
  if (request === undefined) return policy
  return ORDER.indexOf(request) > ORDER.indexOf(policy) ? request : policy
}
