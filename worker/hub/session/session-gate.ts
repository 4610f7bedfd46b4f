/** Where a client's WebSocket becomes a session of the hub: bounded in number, bytes and idle time, and renewed. */
import { AppError, errorCode } from '#shared/errors.ts'
import type { RandomBytes, TenantId } from '#shared/ids.ts'
import { LIMITS } from '#shared/limits.ts'
import type { Log } from '#shared/log.ts'
import { decideIngress } from '#shared/policy.ts'
import { intersect } from '#shared/region.ts'
import type { TenantSnapshot } from '../../tenant/protocol.ts'
import type { SessionGrant } from '../protocol.ts'
import { Session, type SessionDeps } from './session.ts'

/** The server's end of an accepted WebSocket. */
export interface SessionSocket {
  send(text: string): void
  close(code: number, reason: string): void
  addEventListener(type: 'message', listener: (event: { data: unknown }) => void): void
  addEventListener(type: 'close' | 'error', listener: () => void): void
}

export interface SessionGateDeps {
  readonly dispatch: SessionDeps['dispatch']
  /** The tenant as it is now. */
  readonly snapshot: (tenant: TenantId) => Promise<TenantSnapshot | null>
  readonly nowMs: () => number
  readonly randomBytes: RandomBytes
  readonly log: Log
}

export interface SessionGate {
  /** @throws {AppError} no_capacity when the hub has all the sessions it may have */
  enter(socket: SessionSocket, grant: SessionGrant): void
}

const IDLE_CLOSE = 4408
const ENDED_CLOSE = 1000

export function createSessionGate(deps: SessionGateDeps): SessionGate {
  let sessions = 0
  let heldBytes = 0
  return {
    enter(socket, opened) {
      if (sessions >= LIMITS.hubSessions)
        throw new AppError('no_capacity', `The hub has ${LIMITS.hubSessions} sessions already.`)
      sessions += 1
      let ownBytes = 0
      let idle: ReturnType<typeof setTimeout> | undefined
      const session = new Session({
        grant: createRenewal(deps, opened),
        dispatch: deps.dispatch,
        hold(sizeBytes) {
          if (heldBytes + sizeBytes > LIMITS.hubSessionBytes)
            throw new AppError('no_capacity', "The hub holds as many sessions' bytes as it may.")
          heldBytes += sizeBytes
          ownBytes += sizeBytes
        },
        send: (message) => socket.send(JSON.stringify(message)),
        close: (code, reason) => socket.close(code, reason),
        randomBytes: deps.randomBytes,
      })
      let isOver = false
      const leave = () => {
        if (isOver) return
        isOver = true
        if (idle !== undefined) clearTimeout(idle)
        session.end()
        sessions -= 1
        heldBytes -= ownBytes
      }
      const wait = () => {
        if (idle !== undefined) clearTimeout(idle)
        idle = setTimeout(() => {
          leave()
          socket.close(IDLE_CLOSE, `nothing came for ${LIMITS.sessionIdleMs} ms`)
        }, LIMITS.sessionIdleMs)
      }
      socket.addEventListener('message', ({ data }) => {
        if (isOver) return
        wait()
        session.onMessage(typeof data === 'string' ? data : '')
      })
      socket.addEventListener('close', () => {
        leave()
        socket.close(ENDED_CLOSE, 'the client closed it')
      })
      socket.addEventListener('error', leave)
      wait()
    },
  }
}

/** The grant, looked at again every LIMITS.authCacheMs: a revoked key or a policy's new version holds from then on. */
function createRenewal({ snapshot, nowMs, log }: SessionGateDeps, opened: SessionGrant) {
  let grant = opened
  let renewedAtMs = nowMs()
  return async (): Promise<SessionGrant> => {
    if (nowMs() - renewedAtMs < LIMITS.authCacheMs) return grant
    const tenant = await snapshot(opened.tenant).catch((error: unknown) => {
      log.warn('session.not-renewed', { tenant: opened.tenant, code: errorCode(error) })
      throw new AppError('no_capacity', "The tenant's records cannot be reached.")
    })
    const key = tenant?.keys.find(({ id }) => id === opened.keyId)
    if (tenant === null || key === undefined || !key.scopes.includes('infer'))
      throw new AppError('unauthenticated', 'The key that opened this session was revoked.')
    const published = tenant.policies.find(({ policy }) => policy.id === opened.policy.id)
    const policy = published?.compiled ?? grant.policy
    const rule = decideIngress(policy, opened.ingress)
    if (rule !== 'allow')
      throw new AppError(
        'residency_ingress_denied',
        `Policy ${policy.id} v${policy.version} no longer allows where this session entered.`,
        { meta: { rule } },
      )
    renewedAtMs = nowMs()
    const allowed = intersect(policy.compute, opened.allowed)
    grant = { ...opened, policy, allowed, consumer: tenant.consumer }
    return grant
  }
}
