/** This page's requirements for a bundle. */
import type { BundleTrust } from '#shared/verify/trust.ts'

/** Accepts simulated and unseen places, which the page labels as such. The page knows no attester's key. */
export function pageTrust(known: Pick<BundleTrust, 'chain' | 'logKeys'>): BundleTrust {
  return {
    ...known,
    attesters: null,
    allowSimulated: true,
    allowUnseen: true,
  }
}
