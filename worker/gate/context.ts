/** The context of one request in middleware and routes. */
import type { Context } from 'hono'
import type { Scope } from '#shared/api/keys.ts'
import { invariant } from '#shared/base/errors.ts'
import type { JobId, RandomBytes, TenantId } from '#shared/base/ids.ts'
import type { Log } from '#shared/base/log.ts'
import type { CompiledPolicy } from '#shared/law/policy.ts'
import type { BodyRoom } from './body-room.ts'
import type { Config, WorkerEnv } from '#worker/platform/config.ts'
import { createRequestTimer, type RequestTimer } from '#p2p/stream/request-timer.ts'
import type { DispatchOutcome } from '#worker/protocols/hub.ts'
import type { KeyUses } from './key-uses.ts'
import type { OpenedKeys } from './opened-keys.ts'
import type { RequestMetrics } from '#worker/metrics/request-metrics.ts'
import type { QuotaLeases } from '#worker/protocols/quota-leases.ts'
import type { RateLimit } from '#worker/platform/rate-limit.ts'
import type { RefusalLog } from './refusal-log.ts'
import type { TenantCache } from './tenant-cache.ts'
import type { OnceJob } from '#worker/protocols/idempotency.ts'
import { openTenant } from '#worker/protocols/durable-objects.ts'
import type { TenantApi, TenantSnapshot } from '#worker/protocols/tenant.ts'

/** State that one isolate keeps between requests. */
export interface Isolate {
  readonly nowMs: () => number
  readonly random: RandomBytes
  readonly log: Log
  readonly tenants: TenantCache
  readonly openedKeys: OpenedKeys
  readonly admissions: RateLimit
  readonly bodies: BodyRoom
  readonly quotas: QuotaLeases
  readonly refusals: RefusalLog
  readonly keyUses: KeyUses
  readonly metrics: RequestMetrics
}

/** The tenant that asks, and its key. */
export interface Caller {
  readonly tenant: TenantId
  readonly keyId: string
  readonly scopes: readonly Scope[]
  readonly networks: readonly string[]
  readonly snapshot: TenantSnapshot
}

export interface Variables {
  readonly isolate: Isolate
  /** The isolate's log with this request's trace id. */
  readonly log: Log
  /** The same for what tenants are refused. All requests of the isolate share its budget of lines. */
  readonly refusalLog: Log
  readonly config: Config
  readonly requestId: string
  readonly startedMs: number
  /** The client's address; empty when unknown. */
  readonly address: string
  /** W3C trace context of this request's span, passed to the node; null only outside of a request. */
  readonly traceparent: string | null
  /** Time that the caller waits, from the start of the request; undefined when not given. */
  deadlineMs: number | undefined
  /** Headers for every answer, errors included. */
  readonly answerHeaders: Map<string, string>
  /** True once the answer has them. @default false */
  hasHeaders: boolean | undefined
  /** Undefined on public routes, and where an optional key is missing. */
  caller: Caller | undefined
  jobId: JobId | undefined
  /** The job of this idempotency key, the same for every repetition. */
  once: OnceJob | undefined
  /** The applied policy; undefined on public routes. */
  policy: CompiledPolicy | undefined
  timing: DispatchOutcome['timing'] | undefined
  /** See {@link timerOf}. */
  timer: RequestTimer | undefined
}

export interface AppEnv {
  Bindings: WorkerEnv
  Variables: Variables
}

/** Read with `get`: `var` copies all variables at each access. */
export type AppContext = Context<AppEnv>

/** The timer of this request's deadlines, made when the first is set. */
export function timerOf(c: AppContext): RequestTimer {
  const known = c.get('timer')
  if (known !== undefined) return known
  const timer = createRequestTimer()
  c.set('timer', timer)
  return timer
}

/** The caller, behind `requireScope`. @throws on a route without a key, which is a bug */
export function callerOf(c: AppContext): Caller {
  const caller = c.get('caller')
  invariant(caller, 'a caller with a key')
  return caller
}

/** The Durable Object of the caller's tenant. */
export function ownTenant(c: AppContext): TenantApi {
  return openTenant(c.env, callerOf(c).tenant, c.get('config'))
}
