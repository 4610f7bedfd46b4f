/** Bounds the sessions of a hub and their bytes, in all and for each tenant. */
import { AppError, invariant } from '#shared/base/errors.ts'
import type { TenantId } from '#shared/base/ids.ts'
import { MIB } from '#shared/base/limits.ts'
import { SESSION_STATE_BYTES } from './messages.ts'

export const HUB_SESSIONS = 200
/** Checkpoints and waiting steps of one hub. */
const HUB_SESSION_BYTES = 64 * MIB
/** Sessions of one tenant on one hub. */
export const TENANT_SESSIONS = 100
/** Checkpoints and waiting steps of one tenant on one hub. */
export const TENANT_SESSION_BYTES = 32 * MIB
invariant(
  TENANT_SESSIONS < HUB_SESSIONS && TENANT_SESSION_BYTES < HUB_SESSION_BYTES,
  'One tenant cannot fill a hub with sessions.',
)
invariant(
  SESSION_STATE_BYTES <= TENANT_SESSION_BYTES,
  "A session's checkpoint fits its tenant's share.",
)

interface Use {
  sessions: number
  heldBytes: number
}

export function createSessionSpace() {
  const all: Use = { sessions: 0, heldBytes: 0 }
  const tenants = new Map<TenantId, Use>()
  return {
    /** @throws {AppError} no_capacity when the hub has too many sessions, rate_limited when the tenant has */
    enter(tenant: TenantId) {
      const own = tenants.get(tenant) ?? { sessions: 0, heldBytes: 0 }
      if (all.sessions >= HUB_SESSIONS)
        throw new AppError('no_capacity', `The hub has ${HUB_SESSIONS} sessions already.`)
      if (own.sessions >= TENANT_SESSIONS)
        throw new AppError(
          'rate_limited',
          `This tenant has ${TENANT_SESSIONS} sessions on this hub already.`,
        )
      tenants.set(tenant, own)
      all.sessions += 1
      own.sessions += 1
      let heldBytes = 0
      const change = (sizeBytes: number) => {
        heldBytes += sizeBytes
        own.heldBytes += sizeBytes
        all.heldBytes += sizeBytes
      }
      let isOver = false
      return {
        /** @throws {AppError} no_capacity when the hub holds too many bytes, rate_limited when the tenant does */
        hold(sizeBytes: number): void {
          if (isOver) return
          if (all.heldBytes + sizeBytes > HUB_SESSION_BYTES)
            throw new AppError('no_capacity', "The hub's memory for sessions is full.")
          if (own.heldBytes + sizeBytes > TENANT_SESSION_BYTES)
            throw new AppError(
              'rate_limited',
              `This tenant's sessions already hold their ${TENANT_SESSION_BYTES} bytes on this hub.`,
            )
          change(sizeBytes)
        },
        release(sizeBytes: number): void {
          if (!isOver) change(-sizeBytes)
        },
        /** Gives up the seat and everything still held. */
        leave(): void {
          if (isOver) return
          change(-heldBytes)
          isOver = true
          all.sessions -= 1
          own.sessions -= 1
          if (own.sessions === 0) tenants.delete(tenant)
        },
      }
    },
  }
}
