/** Asks the tenant repeatedly whether a running batch may go on, and under which policy. */
import type { Log } from '#shared/base/log.ts'
import type { BatchDatabase } from '#worker/jobs/store/database.ts'
import { judgeAuthority, type Grant, type TenantWord } from './judge-authority.ts'
import type { BatchSpec, Fault } from '#worker/protocols/batch.ts'
import { AUTH_CACHE_MS } from '#worker/protocols/tenant.ts'
import { invariant } from '#shared/base/errors.ts'

/** A batch sends nothing when its tenant has not answered for this long. */
export const JOBS_AUTHORITY_MS = 30_000
invariant(AUTH_CACHE_MS < JOBS_AUTHORITY_MS, 'A batch asks its tenant before its authority ends.')

export interface AuthorityDeps {
  readonly spec: BatchSpec
  readonly database: Pick<BatchDatabase, 'set'>
  readonly authority: (spec: BatchSpec) => Promise<TenantWord | null>
  readonly nowMs: () => number
  readonly log: Log
}

export type Authority = ReturnType<typeof createAuthority>

export function createAuthority({ spec, database, authority, nowMs, log }: AuthorityDeps) {
  let heardAtMs = -Infinity
  let grant: Grant | undefined
  return {
    /** Asks, unless the last answer is recent. @returns the fault that ends the batch */
    async check(): Promise<Fault | undefined> {
      const askedAtMs = nowMs()
      if (askedAtMs - heardAtMs < AUTH_CACHE_MS) return undefined
      let word: TenantWord | null
      try {
        word = await authority(spec)
      } catch (error) {
        log.warn('batch.authority-unknown', { batch: spec.id, cause: String(error) })
        return undefined
      }
      const verdict = judgeAuthority(spec, word)
      heardAtMs = askedAtMs
      if (verdict.kind === 'stop') {
        grant = undefined
        return verdict.fault
      }
      // Kept, so that it holds for readers too after a restart.
      if (verdict.grant.ingress !== (grant?.ingress ?? spec.policy.ingress))
        database.set('ingress', verdict.grant.ingress)
      grant = verdict.grant
      return undefined
    },
    /** Undefined when the tenant has not answered for too long. */
    grant: (): Grant | undefined => (nowMs() - heardAtMs < JOBS_AUTHORITY_MS ? grant : undefined),
  }
}
