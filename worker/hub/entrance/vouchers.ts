/** A node has the trust level of the key that vouched for it, and is disconnected when that key may no longer vouch. */
import { AppError, errorCode } from '#shared/base/errors.ts'
import type { TenantId } from '#shared/base/ids.ts'
import type { Log } from '#shared/base/log.ts'
import { hasScope } from '#worker/protocols/key-grant.ts'
import { type TenantApi, AUTH_CACHE_MS } from '#worker/protocols/tenant.ts'
import type { Member } from '#worker/hub/members/directory.ts'

export interface VouchersDeps {
  readonly openTenant: (tenant: TenantId) => Pick<TenantApi, 'snapshot'>
  /** Called when the vouching key is gone. The node must get no more work from now on. */
  readonly remove: (member: Member) => void
  readonly log: Log
  /** @default half of AUTH_CACHE_MS: disconnecting a node is part of the ten seconds */
  readonly voucherEveryMs?: number | undefined
}

export type Vouchers = ReturnType<typeof createVouchers>

/** Asks each tenant once a round, however many nodes it vouches for. */
export function createVouchers(deps: VouchersDeps) {
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
    /** Asks the tenant now. @throws {AppError} forbidden when nobody vouches, no_capacity when it cannot be asked */
    check: (admission: Vouched): Promise<void> => checkVoucher(deps, admission),
    /** Reviews a member until its link ends. A member without a voucher needs no review. */
    attend(member: Member): void {
      const { voucher } = member.admission
      if (voucher === null) return
      const { tenant } = voucher
      attended.set(tenant, (attended.get(tenant) ?? new Set()).add(member))
      timer ??= setInterval(review, deps.voucherEveryMs ?? AUTH_CACHE_MS / 2)
      void member.link.closed.then(() => leave(tenant, member))
    },
  }
}

type Vouched = Pick<Member['admission'], 'nodeId' | 'voucher' | 'networks'>

async function checkVoucher({ openTenant }: VouchersDeps, admission: Vouched): Promise<void> {
  const { voucher } = admission
  if (voucher === null) return
  let keys: readonly VouchingKey[]
  try {
    keys = (await openTenant(voucher.tenant).snapshot())?.keys ?? []
  } catch (cause) {
    const detail = `Tenant ${voucher.tenant} cannot be reached to ask whether it still vouches for this node.`
    throw new AppError('no_capacity', detail, { cause })
  }
  if (stillVouches(keys, admission)) return
  throw new AppError('forbidden', 'The key that vouched for this node no longer does.')
}

async function reviewTenant(
  { openTenant, remove, log }: VouchersDeps,
  tenant: TenantId,
  members: ReadonlySet<Member>,
): Promise<void> {
  let keys: readonly VouchingKey[]
  try {
    keys = (await openTenant(tenant).snapshot())?.keys ?? []
  } catch (error) {
    // Keeps the nodes: an unreachable tenant has not revoked anything.
    log.warn('voucher.unknown', { tenant, code: errorCode(error) ?? 'internal' })
    return
  }
  for (const member of members) {
    if (stillVouches(keys, member.admission)) continue
    log.warn('node.unvouched', { nodeId: member.admission.nodeId, tenant })
    remove(member)
    // Not awaited: one link that does not close must not keep the others in.
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
