/** Delivers some rows of the outbox: to the tenants, then to the ledger, in slices that leave room for answers. */
import { groupOf, type ReceiptGroup, type WholeReceipt } from '#shared/audit/receipt-group.ts'
import { invariant } from '#shared/base/errors.ts'
import type { Bytes32, TenantId } from '#shared/base/ids.ts'
import type { Log } from '#shared/base/log.ts'
import type { OutboxGroup } from './outbox.ts'

/** Where receipts go. */
export interface Receivers {
  /** Records a tenant's receipts. @returns those whose job has an earlier receipt, and the account that pays */
  record(tenant: TenantId, group: ReceiptGroup): Promise<Recorded>
  /** Hands recorded receipts to the ledger. @returns the ids that it has now */
  accept(group: ReceiptGroup, later: readonly Bytes32[]): Promise<readonly Bytes32[]>
}

export interface Recorded {
  readonly later: readonly Bytes32[]
  readonly consumer: `0x${string}` | null
}

export interface PageDeps {
  readonly receivers: Receivers
  /** Receipts in one call now. The receiver works for some milliseconds, in which no answer of the same process leaves. */
  readonly slice: () => number
  /** Called after so many receipts were handled. It resolves when the next may be. */
  readonly spend: (receipts: number) => Promise<void>
  readonly log: Log
}

/** Both ends take a receipt once, so a failure only repeats. @param groups signed by one key @returns what both have */
export async function deliverPage(
  groups: readonly OutboxGroup[],
  deps: PageDeps,
): Promise<ReadonlySet<Bytes32>> {
  const [first] = groups
  invariant(first, 'a page has at least one row')
  const { hubKey } = first
  const receipts = groups.flatMap((group) => group.receipts)
  const taken: Taken[] = []
  for (const [tenant, own] of Map.groupBy(receipts, ({ policy }) => policy.tenant))
    for await (const slice of recordAll(tenant, { hubKey, own }, deps)) taken.push(...slice)
  return acceptAll(hubKey, taken, deps)
}

/** A receipt that its tenant has. */
interface Taken {
  readonly receipt: WholeReceipt
  /** Its job has an earlier one. */
  readonly isLater: boolean
}

interface Own {
  readonly hubKey: OutboxGroup['hubKey']
  readonly own: readonly WholeReceipt[]
}

/** One failing tenant must not hold up the others. Its receipts stay in the outbox. */
async function* recordAll(
  tenant: TenantId,
  { hubKey, own }: Own,
  { receivers, slice: size, spend, log }: PageDeps,
): AsyncGenerator<Taken[]> {
  try {
    for (const slice of slicesOf(own, size)) {
      const { later, consumer } = await receivers.record(tenant, groupOf(hubKey, slice))
      const repeated = new Set(later)
      yield slice.map((receipt) => ({
        receipt: { ...receipt, consumer: receipt.consumer ?? consumer },
        isLater: repeated.has(receipt.id),
      }))
      await spend(slice.length)
    }
  } catch (error) {
    log.warn('outbox.tenant-failed', { tenant, cause: String(error) })
  }
}

/** @returns what the ledger has, also where it fails in the middle */
async function acceptAll(
  hubKey: OutboxGroup['hubKey'],
  taken: readonly Taken[],
  { receivers, slice: size, spend, log }: PageDeps,
): Promise<ReadonlySet<Bytes32>> {
  const accepted = new Set<Bytes32>()
  try {
    for (const slice of slicesOf(taken, size)) {
      const group = groupOf(
        hubKey,
        slice.map(({ receipt }) => receipt),
      )
      const later = slice.flatMap(({ receipt, isLater }) => (isLater ? [receipt.id] : []))
      for (const id of await receivers.accept(group, later)) accepted.add(id)
      await spend(slice.length)
    }
  } catch (error) {
    log.warn('outbox.delivery-failed', { cause: String(error), left: taken.length - accepted.size })
  }
  return accepted
}

function* slicesOf<T>(all: readonly T[], size: () => number): Generator<readonly T[]> {
  for (let at = 0; at < all.length;) {
    const slice = all.slice(at, at + size())
    yield slice
    at += slice.length
  }
}
