/** What the answers of several nodes to one job say about each of them. */
import { invariant } from '#shared/base/errors.ts'
import { isIndependent, type Party } from './checker.ts'

/** One node's answer to a job. Answers that agree have the same claim. */
export interface Vote<T extends Party> {
  readonly node: T
  readonly claim: number
}

/** Votes by which the leading claim must lead every other one. */
export const LEAD = 5
/** Votes after which a dispute is left open. */
export const MOST_VOTES = 21
invariant(MOST_VOTES > LEAD + 1, 'A dispute between honest nodes and one liar must end.')

export type Outcome =
  /** Another node must be asked. */
  | { readonly kind: 'open' }
  | { readonly kind: 'agreed'; readonly claim: number }
  /** Nodes with another claim than this one have lost. */
  | { readonly kind: 'settled'; readonly claim: number }
  | { readonly kind: 'inconclusive' }

/**
 * Judges the votes on one job, from independent nodes.
 * @param isLast no other node can be asked
 */
export function judge<T extends Party>(votes: readonly Vote<T>[], isLast: boolean): Outcome {
  invariant(areIndependent(votes), 'Two votes are from one reporter or network.')
  const counts = new Map<number, number>()
  for (const { claim } of votes) counts.set(claim, (counts.get(claim) ?? 0) + 1)
  const [first, second] = [...counts].toSorted(([, a], [, b]) => b - a)
  if (first === undefined) return { kind: 'open' }
  const [claim, most] = first
  if (second === undefined) return most > 1 ? { kind: 'agreed', claim } : unanswered(isLast)
  if (most - second[1] >= LEAD) return { kind: 'settled', claim }
  if (!isLast && votes.length < MOST_VOTES) return { kind: 'open' }
  // Nobody else can be asked: two independent nodes against one.
  if (isLast && second[1] === 1 && most > 1) return { kind: 'settled', claim }
  return { kind: 'inconclusive' }
}

function unanswered(isLast: boolean): Outcome {
  return isLast ? { kind: 'inconclusive' } : { kind: 'open' }
}

function areIndependent<T extends Party>(votes: readonly Vote<T>[]): boolean {
  return votes.every(({ node }, index) =>
    isIndependent(
      node,
      votes.slice(0, index).map((vote) => vote.node),
    ),
  )
}

/**
 * The claim of an answer: of the first earlier answer that it agrees with, or a new one.
 * Tolerances do not chain, so it is compared with the first answer of each claim only.
 * @param firsts the first answer of each claim
 */
export function claimOf<A>(
  answer: A,
  firsts: readonly A[],
  agree: (one: A, other: A) => boolean,
): number {
  const found = firsts.findIndex((first) => agree(first, answer))
  return found === -1 ? firsts.length : found
}
