/**
 * Limits tenants with many banned kernels: known kernels go on, few new texts are tried. A ban covers one exact text,
 * so a changed space evades it. But bans rest on reports, so they must not lock a tenant out.
 */
import { BoundedMap } from '#shared/base/bounded-map.ts'
import { AppError } from '#shared/base/errors.ts'
import type { Bytes32 } from '#shared/base/ids.ts'
import { KERNEL_REPORTS } from '#worker/protocols/kernels.ts'

/** New kernels that one hub tries in an hour for a tenant with banned kernels. */
export const KERNEL_TRIALS_PER_HOUR = 12

/** From this many banned kernels on, an author's new texts are counted. */
const COUNTED_FROM = 3
const HOUR_MS = 3_600_000
const AUTHORS = 1_000

interface Author {
  readonly author: string
  readonly banned: number
  readonly bannedForAll: number
}

export function createKernelTrials(now: () => number) {
  const known = new Set<Bytes32>()
  /** When each text was first tried, by author. */
  const tried = new BoundedMap<string, Map<Bytes32, number>>(AUTHORS)
  return {
    /**
     * Counts a text that has never completed here.
     * @returns `public` when only vouched nodes may try it
     * @throws {AppError} rate_limited, rule `kernels.tenant`, when vouched nodes' reports have banned as many too
     */
    barOf(digest: Bytes32, { author, banned, bannedForAll }: Author): 'none' | 'public' {
      if (banned < COUNTED_FROM || known.has(digest)) return 'none'
      const own = tried.get(author) ?? new Map<Bytes32, number>()
      tried.set(author, own)
      for (const [text, atMs] of own) if (now() - atMs >= HOUR_MS) own.delete(text)
      if (own.has(digest)) return 'none'
      if (own.size < KERNEL_TRIALS_PER_HOUR) {
        own.set(digest, now())
        return 'none'
      }
      if (bannedForAll < COUNTED_FROM) return 'public'
      const [firstMs = now()] = own.values()
      throw new AppError(
        'rate_limited',
        `${bannedForAll} kernels of this tenant have hung devices: at most ${KERNEL_TRIALS_PER_HOUR} new texts an hour are tried until those bans end.`,
        {
          meta: {
            rule: 'kernels.tenant',
            retryAfterSeconds: Math.ceil((firstMs + HOUR_MS - now()) / 1000),
          },
        },
      )
    },
    hasRun: (digest: Bytes32): boolean => known.has(digest),
    completed(digest: Bytes32): void {
      if (known.size >= KERNEL_REPORTS) known.clear()
      known.add(digest)
    },
  }
}
