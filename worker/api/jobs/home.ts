/** Chooses where a batch's records are kept. Inputs and results rest there, so the policy must allow it. */
import { bytesToHex } from 'viem'
import type { RandomBytes, TenantId } from '#shared/base/ids.ts'
import type { CompiledPolicy, Jurisdiction } from '#shared/law/policy.ts'
import { countrySet, isSubset } from '#shared/law/region.ts'
import type { Config } from '#worker/platform/config.ts'
import { tenantJurisdiction } from '#worker/protocols/durable-objects.ts'
import { BatchId } from '#worker/protocols/batch.ts'

/** Jurisdictions for policies without a storage pin whose countries all lie inside. */
const NARROW: readonly (readonly [Jurisdiction, string])[] = [
  ['eu', 'EEA'],
  ['us', 'US'],
]

/**
 * Returns the policy's pin, else the tenant's, else, on Cloudflare, the jurisdiction around all
 * allowed countries. This keeps results from another continent that nobody forbade. A self-hosted
 * deployment has only one place.
 */
export function batchHome(
  policy: Pick<CompiledPolicy, 'storage' | 'compute'>,
  tenant: TenantId,
  { deployment }: Pick<Config, 'deployment'>,
): Jurisdiction {
  if (policy.storage !== 'any') return policy.storage
  const own = tenantJurisdiction(tenant)
  if (own !== 'any' || deployment !== 'cloudflare') return own
  const narrow = NARROW.find(([, region]) => isSubset(policy.compute, countrySet([region])))
  return narrow?.[0] ?? 'any'
}

export function newBatchId(jurisdiction: Jurisdiction, random: RandomBytes): BatchId {
  const place = jurisdiction === 'any' ? '' : `${jurisdiction}--`
  return BatchId.parse(`batch_${place}${bytesToHex(random(16)).slice(2)}`)
}
