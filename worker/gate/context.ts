/** What travels with one request through middleware and routes. */
import type { Context } from 'hono'
import type { Scope } from '#shared/api/keys.ts'
import { invariant } from '#shared/base/errors.ts'
import type { JobId, RandomBytes, TenantId } from '#shared/base/ids.ts'
import type { Log } from '#shared/base/log.ts'
import type { CompiledPolicy } from '#shared/law/policy.ts'
import type { BodyRoom } from './body-room.ts'
import type { Config, WorkerEnv } from '#worker/platform/config.ts'
import type { DispatchOutcome } from '#worker/protocols/hub.ts'
import type { KeyUses } from './key-uses.ts'
import type { RequestMetrics } from '#worker/metrics/request-metrics.ts'
import type { QuotaLeases } from '#worker/protocols/quota-leases.ts'
import type { RateLimit } from '#worker/platform/rate-limit.ts'
import type { RefusalLog } from './refusal-log.ts'
import type { TenantCache } from './tenant-cache.ts'
import type { OnceJob } from '#worker/protocols/idempotency.ts'
import type { TenantSnapshot } from '#worker/protocols/tenant.ts'

/** What one isolate keeps between requests, made once by the entry point. */
export interface Isolate {
  readonly nowMs: () => number
  readonly random: RandomBytes
  readonly log: Log
  readonly tenants: TenantCache
  readonly admissions: RateLimit
  readonly bodies: BodyRoom
  readonly quotas: QuotaLeases
  readonly refusals: RefusalLog
  readonly keyUses: KeyUses
  readonly metrics: RequestMetrics
}

/** Who is asking: a tenant, by one of its keys. */
export interface Caller {
  readonly tenant: TenantId
  readonly keyId: string
  readonly scopes: readonly Scope[]
  readonly networks: readonly string[]
  readonly snapshot: TenantSnapshot
}

export interface Variables {
  readonly isolate: Isolate
  readonly config: Config
  readonly requestId: string
  readonly startedMs: number
  /** Address of the client; empty where nobody says. */
  readonly address: string
  /** W3C trace context of this request's own span, to be sent on to the node; null only outside of a request. */
  readonly traceparent: string | null
  /** How long the caller waits, from the start of the request; undefined when it did not say. */
  deadlineMs: number | undefined
  /** Set on whatever the answer turns out to be, an error too. */
  readonly answerHeaders: Map<string, string>
  /** Unset on public routes, and where a key is optional and none came. */
  caller: Caller | undefined
  /** Set once the request has become a job. */
  jobId: JobId | undefined
  /** Set for a request with an idempotency key: the job that it is each time. */
  once: OnceJob | undefined
  /** The policy that was applied, for the header; unset on public routes. */
  policy: CompiledPolicy | undefined
  /** Set once a node has answered. */
  timing: DispatchOutcome['timing'] | undefined
}

export interface AppEnv {
  Bindings: WorkerEnv
  Variables: Variables
}

export type AppContext = Context<AppEnv>

/** Who asks, behind `requireScope`. @throws where the route asks for no key: a fault of ours */
export function callerOf(c: AppContext): Caller {
  const { caller } = c.var
  invariant(caller, 'a caller with a key')
  return caller
}
