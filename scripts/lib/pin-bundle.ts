/** Pins what the chain says today of bundles' keys and batches, so that they can be checked without it later. */
import type { AuditBundle } from '#shared/audit-bundle.ts'
import type { PublicKey } from '#shared/signature.ts'
import type { Pins } from '#scripts/lib/pinned-view.ts'
import type { WholeTrust } from '#shared/verify/trust.ts'

/** Only what the chain itself confirms is pinned. */
export async function pinBundle(
  bundles: readonly AuditBundle[],
  { chain, logKeys, attesters }: WholeTrust,
): Promise<Pins> {
  const jobs = bundles.flatMap((bundle) => bundle.jobs)
  const hashes = new Set(jobs.flatMap(({ settlement }) => settlement?.transactionHash ?? []))
  const keys = new Map(
    jobs
      .flatMap(({ receipt, evidence }): PublicKey[] => [
        receipt.hubKey,
        ...(evidence?.echoes ?? []).map(({ anchorKey }) => anchorKey),
      ])
      .map((key) => [`${key.x}${key.y}`, key]),
  )
  const known = await Promise.all(
    [...keys.values()].map(async (key) => ((await chain.isHubKey(key)) ? [key] : [])),
  )
  const posted = await Promise.all(
    [...hashes].map(async (transactionHash) => {
      const batch = await chain.postedBy(transactionHash)
      return batch === undefined ? [] : [{ ...batch, transactionHash }]
    }),
  )
  return {
    domain: chain.domain,
    hubKeys: known.flat(),
    logKeys: [...logKeys],
    attesters: [...attesters],
    batches: posted.flat(),
  }
}
