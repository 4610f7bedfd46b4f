/**
 * Tenants whose kernels were banned, again and again: what has run goes on, and of what has not only some is tried.
 * A ban is of a text, and a space makes another text; but bans are other people's words, and must lock nobody out.
 */
import { BoundedMap } from '#shared/base/bounded-map.ts'
import { AppError } from '#shared/base/errors.ts'
import type { Bytes32 } from '#shared/base/ids.ts'
import { LIMITS } from '#shared/base/limits.ts'

/** Banned kernels of one author from which on its new texts are counted. */
const COUNTED_FROM = 3
const HOUR_MS = 3_600_000
/** Authors with so many bans that are remembered at once. */
const AUTHORS = 1_000

interface Author {
  readonly author: string
  readonly banned: number
  readonly bannedForAll: number
}

export interface KernelTrials {
  /**
   * Counts a text that has never run to its end here.
   * @returns `public` when it may be tried on nodes only that somebody vouches for
   * @throws {AppError} rate_limited, rule `kernels.tenant`, when such nodes have banned as many too
   */
  barOf(digest: Bytes32, author: Author): 'none' | 'public'
  completed(digest: Bytes32): void
  /** Whether a text has run to its end here. */
  hasRun(digest: Bytes32): boolean
}

export function createKernelTrials(now: () => number): KernelTrials {
  const known = new Set<Bytes32>()
  /** When each text was first tried, by author. */
  const tried = new BoundedMap<string, Map<Bytes32, number>>(AUTHORS)
  return {
    barOf(digest, { author, banned, bannedForAll }) {
      if (banned < COUNTED_FROM || known.has(digest)) return 'none'
      const own = tried.get(author) ?? new Map<Bytes32, number>()
      tried.set(author, own)
      for (const [text, atMs] of own) if (now() - atMs >= HOUR_MS) own.delete(text)
      if (own.has(digest)) return 'none'
      if (own.size < LIMITS.kernelTrialsPerHour) {
        own.set(digest, now())
        return 'none'
      }
      if (bannedForAll < COUNTED_FROM) return 'public'
      const [firstMs = now()] = own.values()
      throw new AppError(
        'rate_limited',
        `${bannedForAll} kernels of this tenant have hung devices: at most ${LIMITS.kernelTrialsPerHour} new texts an hour are tried until those bans end.`,
        {
          meta: {
            rule: 'kernels.tenant',
            retryAfterSeconds: Math.ceil((firstMs + HOUR_MS - now()) / 1000),
          },
        },
      )
    },
    hasRun: (digest) => known.has(digest),
    completed(digest) {
      if (known.size >= LIMITS.kernelReports) known.clear()
      known.add(digest)
    },
  }
}
