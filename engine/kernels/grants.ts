/** Keeps the measured budget of one dispatch. It is measured again when it is old, and before it refuses a kernel. */
import type { Grant } from './rewrite/meter-kernel.ts'

/** Age at which the next kernel causes a new measurement. */
const FRESH_MS = 60_000
/** Pause between measurements after refusals, so that endless loops cannot keep a device busy with measuring. */
const PAUSE_MS = 2_000
/** Smaller differences are noise of the measurement. */
const NOTABLY = 1.2

export function createGrants(measure: () => Promise<Grant>, nowMs: () => number) {
  let known: { readonly grant: Promise<Grant>; readonly atMs: number } | undefined
  const renew = () => {
    const grant = measure()
    known = { grant, atMs: nowMs() }
    // A failed measurement is not kept: the next kernel tries again.
    grant.catch(() => (known = undefined))
    return grant
  }
  return {
    current: () =>
      known === undefined || nowMs() - known.atMs >= FRESH_MS ? renew() : known.grant,
    /**
     * Measures again after a dispatch used up a grant, since the device may have been busy.
     * @returns undefined when the new grant is no larger, or the last measurement is recent
     */
    async larger(than: Grant): Promise<Grant | undefined> {
      if (known !== undefined && nowMs() - known.atMs < PAUSE_MS) return undefined
      const grant = await renew()
      const isLarger = grant.total > than.total * NOTABLY || grant.each > than.each * NOTABLY
      return isLarger ? grant : undefined
    },
  }
}
