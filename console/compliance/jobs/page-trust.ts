/** How much this page asks of a bundle. */
import type { BundleTrust } from '#shared/verify/trust.ts'

/** The page shows a job as it runs, and says what its place is worth; of attesters it is told none. */
export function pageTrust(known: Pick<BundleTrust, 'chain' | 'logKeys'>): BundleTrust {
  return {
    ...known,
    attesters: null,
    allowSimulated: true,
    allowUnseen: true,
  }
}
