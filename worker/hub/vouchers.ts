/** A node is worth what the key is that vouched for it: once that is revoked, or may no longer vouch, the node is sent away to be admitted anew. */
import { errorCode } from '#shared/errors.ts'
import type { TenantId } from '#shared/ids.ts'
import { LIMITS } from '#shared/limits.ts'
import type { Log } from '#shared/log.ts'
import { hasScope } from '../tenant/key-grant.ts'
import type { TenantApi } from '../tenant/protocol.ts'
import type { Member } from './directory.ts'

export interface VouchersDeps {
  readonly openTenant: (tenant: TenantId) => Pick<TenantApi, 'snapshot'>
  readonly log: Log
  /** @default LIMITS.authCacheMs */
  readonly voucherEveryMs?: number
}

export interface Vouchers {
  /** Looks after a member until its link ends. One that nobody vouched for needs none. */
  attend(member: Member): void
}

/** Asks each tenant once a round, however many nodes it vouches for. */
export function createVouchers(deps: VouchersDeps): Vouchers {
  const attended = new Map<TenantId, Set<Member>>()
  let timer: ReturnType<typeof setInterval> | undefined
  const review = () => {
    for (const [tenant, members] of attended) void reviewTenant(deps, tenant, members)
  }
  const leave = (tenant: TenantId, member: Member) => {
    const members = attended.get(tenant)
    members?.delete(member)
    if (members?.size === 0) attended.delete(tenant)
    if (attended.size > 0) return
    if (timer !== undefined) clearInterval(timer)
    timer = undefined
  }
  return {
    attend(member) {
      const { voucher } = member.admission
      if (voucher === null) return
      const { tenant } = voucher
      attended.set(tenant, (attended.get(tenant) ?? new Set()).add(member))
      timer ??= setInterval(review, deps.voucherEveryMs ?? LIMITS.authCacheMs)
      void member.link.closed.then(() => leave(tenant, member))
    },
  }
}

async function reviewTenant(
  { openTenant, log }: VouchersDeps,
  tenant: TenantId,
  members: ReadonlySet<Member>,
): Promise<void> {
  let keys: readonly VouchingKey[]
  try {
    keys = (await openTenant(tenant).snapshot())?.keys ?? []
  } catch (error) {
    // Nobody has said that the key is gone; a tenant that cannot be reached takes no nodes away.
    log.warn('voucher.unknown', { tenant, code: errorCode(error) ?? 'internal' })
    return
  }
  for (const member of members) {
    if (stillVouches(keys, member.admission)) continue
    log.warn('node.unvouched', { nodeId: member.admission.nodeId, tenant })
    // All at once: one that does not answer must not keep the others in.
    member.link.close().catch(() => {})
  }
}

type VouchingKey = NonNullable<Awaited<ReturnType<TenantApi['snapshot']>>>['keys'][number]

function stillVouches(
  keys: readonly Pick<VouchingKey, 'id' | 'scopes' | 'networks'>[],
  { voucher, networks }: Pick<Member['admission'], 'voucher' | 'networks'>,
): boolean {
  const key = keys.find(({ id }) => id === voucher?.keyId)
  if (key === undefined || !hasScope(key.scopes, 'node')) return false
  return networks.every((name) => key.networks.includes(name))
}
