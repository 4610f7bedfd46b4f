/** Turns a client's WebSocket into a session: bounded in number, bytes and idle time, its grant renewed. */
import { AppError, errorCode } from '#shared/base/errors.ts'
import type { Clock } from '#p2p/stream/clock.ts'
import { createIdleTimer } from '#p2p/stream/idle-timer.ts'
import type { RandomBytes, TenantId } from '#shared/base/ids.ts'
import { LIMITS } from '#shared/base/limits.ts'
import type { Log } from '#shared/base/log.ts'
import { decideIngress } from '#shared/law/decide.ts'
import { intersect } from '#shared/law/region.ts'
import { createQuotaLeases } from '#worker/protocols/quota-leases.ts'
import { type TenantApi, AUTH_CACHE_MS } from '#worker/protocols/tenant.ts'
import type { SessionGrant } from '#worker/protocols/hub.ts'
import { createSessionSpace, HUB_SESSIONS } from './session-space.ts'
import { Session, type SessionDeps } from './session.ts'

export interface SessionSocket {
  send(text: string): void
  close(code: number, reason: string): void
  addEventListener(type: 'message', listener: (event: { data: unknown }) => void): void
  addEventListener(type: 'close' | 'error', listener: () => void): void
}

export interface SessionGateDeps {
  readonly dispatch: SessionDeps['dispatch']
  readonly openTenant: (tenant: TenantId) => SessionTenant
  readonly nowMs: () => number
  readonly clock: Clock
  readonly randomBytes: RandomBytes
  readonly log: Log
}

/** The tenant's methods that a session uses: current rights, and parts of the quota. */
export type SessionTenant = Pick<TenantApi, 'snapshot' | 'quota'>

export interface SessionGate {
  /** @throws {AppError} no_capacity when the hub has too many sessions, rate_limited when the tenant has */
  enter(socket: SessionSocket, grant: SessionGrant): void
}

const IDLE_CLOSE = 4408
const ENDED_CLOSE = 1000

export function createSessionGate(deps: SessionGateDeps): SessionGate {
  const space = createSessionSpace()
  const reserve = createReserve(deps)
  return {
    enter(socket, opened) {
      const place = space.enter(opened.tenant)
      const session = new Session({
        grant: createRenewal(deps, opened),
        dispatch: deps.dispatch,
        reserve: (microUsd) => reserve(opened.tenant, microUsd),
        hold: (sizeBytes) => place.hold(sizeBytes),
        release: (sizeBytes) => place.release(sizeBytes),
        send: (text) => socket.send(text),
        close(code, reason) {
          // Left at once: a client that never answers the close would keep its seat.
          leave()
          socket.close(code, reason)
        },
        randomBytes: deps.randomBytes,
      })
      let isOver = false
      const leave = () => {
        if (isOver) return
        isOver = true
        idle.stop()
        session.end()
        place.leave()
      }
      const onIdle = () => {
        leave()
        socket.close(IDLE_CLOSE, `nothing came for ${LIMITS.sessionIdleMs} ms`)
      }
      const idle = createIdleTimer(LIMITS.sessionIdleMs, onIdle, deps.clock)
      socket.addEventListener('message', ({ data }) => {
        if (isOver) return
        idle.start()
        session.onMessage(typeof data === 'string' ? data : '')
      })
      socket.addEventListener('close', () => {
        leave()
        socket.close(ENDED_CLOSE, 'the client closed it')
      })
      socket.addEventListener('error', leave)
      idle.start()
    },
  }
}

/** Takes the same quota for every step as the Worker does for every request. */
function createReserve({ openTenant, nowMs, log }: SessionGateDeps) {
  const quotas = createQuotaLeases({ size: HUB_SESSIONS, nowMs })
  const reached = <T>(tenant: TenantId, lease: Promise<T>): Promise<T> =>
    lease.catch((error: unknown) => {
      log.warn('session.no-quota', { tenant, code: errorCode(error) })
      throw unreachable()
    })
  return async (tenant: TenantId, microUsd: number): Promise<(spentMicroUsd: number) => void> => {
    const lease = () => reached(tenant, openTenant(tenant).quota.leaseRequests())
    await quotas.take(tenant, lease, (work) => void work.catch(() => {}))
    return quotas.reserve(tenant, microUsd, (wanted) =>
      reached(tenant, openTenant(tenant).quota.leaseSpend(wanted)),
    )
  }
}

function unreachable(): AppError {
  return new AppError('no_capacity', "The tenant's records cannot be reached.")
}

/** Renews the grant every AUTH_CACHE_MS, so that a revoked key or a new policy version takes effect. */
function createRenewal({ openTenant, nowMs, log }: SessionGateDeps, opened: SessionGrant) {
  let grant = opened
  let renewedAtMs = nowMs()
  return async (): Promise<SessionGrant> => {
    if (nowMs() - renewedAtMs < AUTH_CACHE_MS) return grant
    const tenant = await openTenant(opened.tenant)
      .snapshot()
      .catch((error: unknown) => {
        log.warn('session.not-renewed', { tenant: opened.tenant, code: errorCode(error) })
        throw unreachable()
      })
    const key = tenant?.keys.find(({ id }) => id === opened.keyId)
    if (tenant === null || key === undefined || !key.scopes.includes('infer'))
      throw new AppError('unauthenticated', 'The key that opened this session was revoked.')
    const published = tenant.policies.find(({ policy }) => policy.id === opened.policy.id)
    if (published === undefined)
      throw new AppError('residency_unsatisfiable', `Policy ${opened.policy.id} no longer exists.`)
    const policy = published.compiled
    // Receipts and checkpoints are kept in this hub, which was chosen by the policy's storage.
    if (policy.storage !== opened.policy.storage)
      throw new AppError(
        'residency_unsatisfiable',
        `Policy ${policy.id} v${policy.version} keeps records in ${policy.storage}; open a new session.`,
        { meta: { rule: 'storage.jurisdiction' } },
      )
    const rule = decideIngress(policy, opened.ingress)
    if (rule !== 'allow')
      throw new AppError(
        'residency_ingress_denied',
        `Policy ${policy.id} v${policy.version} no longer allows the country where this session entered.`,
        { meta: { rule } },
      )
    renewedAtMs = nowMs()
    const allowed = intersect(policy.compute, opened.allowed)
    grant = { ...opened, policy, allowed, consumer: tenant.consumer }
    return grant
  }
}
