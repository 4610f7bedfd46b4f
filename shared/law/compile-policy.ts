/** Compiles a written policy into the bits and flags that decisions use, and the hash that names them for ever. */
import { structHash } from '#shared/base/eip712.ts'
import { nameHash, ZERO_BYTES32, type Bytes32, type TenantId } from '#shared/base/ids.ts'
import {
  DATA_CLASSES,
  EVIDENCE_CLASSES,
  JURISDICTIONS,
  NODE_TRUSTS,
  VERIFICATION_LEVELS,
  type CompiledPolicy,
  type Policy,
  type PolicyPlaces,
} from './policy.ts'
import { countrySet, intersect, without, type CountrySet } from './region.ts'

export function compilePolicy(
  policy: Policy,
  at: { tenant: TenantId; version: number },
): CompiledPolicy {
  const { ingress, compute, regions, vouchers, ...rest } = policy
  const fields = {
    tenant: at.tenant,
    version: at.version,
    ingress: placeSet(ingress, regions),
    compute: placeSet(compute, regions),
    regions,
    vouchers: [...new Set(vouchers)].toSorted(),
    ...rest,
  }
  return { ...fields, hash: policyHash(fields) }
}

/** The countries that remain of `allow` after `deny`. @param regions the dated list that gives groups their meaning */
export function placeSet({ allow, deny }: PolicyPlaces, regions: number): CountrySet {
  return without(countrySet(allow, regions), countrySet(deny, regions))
}

export const POLICY_TYPE =
  'Policy(bytes32 tenant,bytes32 id,uint32 version,uint256 ingress,uint256 compute,uint8 storageJurisdiction,' +
  'uint8 minEvidence,uint8 dataClass,bool personalOnPublicNodes,uint8 nodeTrust,uint16 retentionDays,' +
  'uint8 verification,bytes32 network,uint32 regions,bytes32 vouchers)'

/** EIP-712 struct hash of a compiled policy; the contract computes the same hash from the same fields. */
export function policyHash(policy: Omit<CompiledPolicy, 'hash'>): Bytes32 {
  return structHash(POLICY_TYPE, [
    nameHash(policy.tenant),
    nameHash(policy.id),
    policy.version,
    policy.ingress,
    policy.compute,
    JURISDICTIONS.indexOf(policy.storage),
    EVIDENCE_CLASSES.indexOf(policy.minEvidence),
    DATA_CLASSES.indexOf(policy.dataClass),
    policy.personalOnPublicNodes,
    NODE_TRUSTS.indexOf(policy.nodeTrust),
    policy.retentionDays,
    VERIFICATION_LEVELS.indexOf(policy.verification),
    networkHash(policy.network),
    policy.regions,
    vouchersHash(policy.vouchers),
  ])
}

/** Hashes the names joined by spaces. */
export function vouchersHash(vouchers: readonly string[]): Bytes32 {
  return nameHash(vouchers.join(' '))
}

export function networkHash(network: string | null): Bytes32 {
  return network === null ? ZERO_BYTES32 : nameHash(network)
}

/** Where one job may be computed: the policy's set, narrowed by the request, whose groups mean what they mean today. */
export function effectiveCompute(policy: CompiledPolicy, narrowTo?: readonly string[]): CountrySet {
  return narrowTo === undefined ? policy.compute : intersect(policy.compute, countrySet(narrowTo))
}
