/** Sends refusals to the tenants' logs: collected for a second, equal ones counted, never awaited. */
import type { TenantId } from '#shared/base/ids.ts'
import { type Refusal, AUDIT_REFUSAL_KINDS } from '#worker/protocols/audit.ts'

/** Tenants for which an isolate collects refusals. */
export const AUDIT_REFUSAL_TENANTS = 1_000
/** Time for which an isolate collects refusals before it reports them. */
const AUDIT_REFUSAL_GATHER_MS = 1_000

type Bare = Omit<Refusal, 'count' | 'firstAtMs' | 'lastAtMs'>

export interface RefusalLog {
  /**
   * Adds a refusal.
   * @returns a function that sends it with others that arrive meanwhile; undefined when one is
   * already pending
   */
  note(
    tenant: TenantId,
    refusal: Bare,
    send: (refusals: readonly Refusal[]) => Promise<void>,
  ): Promise<void> | undefined
}

export interface RefusalLogDeps {
  readonly nowMs: () => number
  readonly wait: (delayMs: number) => Promise<void>
}

export function createRefusalLog({ nowMs, wait }: RefusalLogDeps): RefusalLog {
  const gathering = new Map<TenantId, Map<string, Refusal>>()
  return {
    note(tenant, refusal, send) {
      const own = gathering.get(tenant)
      if (own !== undefined) {
        count(own, refusal, nowMs())
        return undefined
      }
      // Each tenant holds a place for one second; with too many at once, the newest are not logged.
      if (gathering.size >= AUDIT_REFUSAL_TENANTS) return undefined
      const fresh = new Map<string, Refusal>()
      gathering.set(tenant, fresh)
      count(fresh, refusal, nowMs())
      return wait(AUDIT_REFUSAL_GATHER_MS).then(() => {
        gathering.delete(tenant)
        return send([...fresh.values()])
      })
    },
  }
}

function count(kinds: Map<string, Refusal>, refusal: Bare, atMs: number): void {
  const { by, code, rule, policyId } = refusal
  const isFull = kinds.size >= AUDIT_REFUSAL_KINDS - 1
  const name = JSON.stringify([by, code, rule, policyId])
  const key = isFull && !kinds.has(name) ? OTHER : name
  const known = kinds.get(key)
  if (known === undefined) {
    const first = key === OTHER ? { ...refusal, ...NOTHING_SAID } : refusal
    kinds.set(key, { ...first, count: 1, firstAtMs: atMs, lastAtMs: atMs })
    return
  }
  kinds.set(key, { ...known, jobId: null, count: known.count + 1, lastAtMs: atMs })
}

const OTHER = 'other'
const NOTHING_SAID = { jobId: null, by: null, code: 'more', rule: null, policyId: null }
