/** Watches whether a batch could be posted. The chain is asked again only when the last answer is old. */
import type { LedgerChain, Outlook } from '#worker/ledger/chain/chain.ts'
import { faultOf } from '#worker/protocols/ledger-fault.ts'

const FRESH_MS = 5_000

export type OutlookWatch = ReturnType<typeof watchOutlook>

export function watchOutlook(chain: Pick<LedgerChain, 'look'>, nowMs: () => number) {
  let last: { readonly atMs: number; readonly outlook: Promise<Outlook> } | undefined
  const now = (): Promise<Outlook> => {
    const outlook = chain
      .look()
      .catch((error: unknown): Outlook => ({ balanceWei: null, fault: faultOf(error) }))
    last = { atMs: nowMs(), outlook }
    return outlook
  }
  return {
    now,
    /** An answer no older than this. It never rejects. */
    recent: (maxAgeMs: number = FRESH_MS): Promise<Outlook> =>
      last !== undefined && nowMs() - last.atMs < maxAgeMs ? last.outlook : now(),
  }
}
