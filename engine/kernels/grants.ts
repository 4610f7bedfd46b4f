/** What this device grants one dispatch, kept in step with its conditions: measured anew when it is old, and before a kernel is refused by it. */
import type { Grant } from './rewrite/meter-kernel.ts'

export interface Grants {
  current(): Promise<Grant>
  /**
   * After a dispatch ran out of a grant: what may have been measured at a busy moment is measured again.
   * @returns undefined where that gives no more, or was just done
   */
  larger(than: Grant): Promise<Grant | undefined>
}

/** A grant is measured again after so long, at the next kernel. */
const FRESH_MS = 60_000
/** One that refused a kernel is measured again after so long: endless loops must not keep a device busy with measuring. */
const PAUSE_MS = 2_000
/** Another measurement gives a little more by chance alone. */
const NOTABLY = 1.2

export function createGrants(measure: () => Promise<Grant>, nowMs: () => number): Grants {
  let known: { readonly grant: Promise<Grant>; readonly atMs: number } | undefined
  const renew = () => {
    const grant = measure()
    known = { grant, atMs: nowMs() }
    // One that failed is not kept: the next kernel tries again.
    grant.catch(() => (known = undefined))
    return grant
  }
  return {
    current: () =>
      known === undefined || nowMs() - known.atMs >= FRESH_MS ? renew() : known.grant,
    async larger(than) {
      if (known !== undefined && nowMs() - known.atMs < PAUSE_MS) return undefined
      const grant = await renew()
      const isLarger = grant.total > than.total * NOTABLY || grant.each > than.each * NOTABLY
      return isLarger ? grant : undefined
    },
  }
}
