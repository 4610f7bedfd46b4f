/** Compiles a written policy into the bits and flags that decisions use, and the hash that names them for ever. */
import { nameHash, ZERO_BYTES32, type Bytes32, type TenantId } from '#shared/base/ids.ts'
import {
  DATA_CLASSES,
  EVIDENCE_CLASSES,
  JURISDICTIONS,
  NODE_TRUSTS,
  VERIFICATION_LEVELS,
  type CompiledPolicy,
  type EvidenceClass,
  type Jurisdiction,
  type NodeTrust,
  type Policy,
  type PolicyPlaces,
} from './policy.ts'
import { sha256Hex } from '#shared/base/native-crypto.ts'
import { NO_DOMAIN } from '#shared/proof/domain.ts'
import { bits, flag, oneOf, struct, uint, word } from '#shared/proof/encoding.ts'
import { layout } from '#shared/proof/layout.ts'
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

/** A compiled policy with its names hashed, as the contract gets it: a chain is no place for a tenant's names. */
export interface PolicyWords {
  readonly tenant: Bytes32
  readonly id: Bytes32
  readonly version: number
  readonly ingress: Bytes32
  readonly compute: Bytes32
  readonly storage: Jurisdiction
  readonly minEvidence: EvidenceClass
  readonly dataClass: CompiledPolicy['dataClass']
  readonly personalOnPublicNodes: boolean
  readonly nodeTrust: NodeTrust
  readonly retentionDays: number
  readonly verification: CompiledPolicy['verification']
  readonly network: Bytes32
  readonly regions: number
  readonly vouchers: Bytes32
}

export const POLICY_LAYOUT = layout(
  'policy',
  1,
  struct<PolicyWords>({
    tenant: word,
    id: word,
    version: uint(4),
    ingress: bits,
    compute: bits,
    storage: oneOf(JURISDICTIONS),
    minEvidence: oneOf(EVIDENCE_CLASSES),
    dataClass: oneOf(DATA_CLASSES),
    personalOnPublicNodes: flag,
    nodeTrust: oneOf(NODE_TRUSTS),
    retentionDays: uint(2),
    verification: oneOf(VERIFICATION_LEVELS),
    network: word,
    regions: uint(4),
    vouchers: word,
  }),
)

/** SHA-256 of a compiled policy's bytes, for every chain; the contract computes the same hash from the same words. */
export function policyHash(policy: Omit<CompiledPolicy, 'hash'>): Bytes32 {
  return sha256Hex(POLICY_LAYOUT.encode(NO_DOMAIN, policyWords(policy)))
}

export function policyWords(policy: Omit<CompiledPolicy, 'hash'>): PolicyWords {
  return {
    ...policy,
    tenant: nameHash(policy.tenant),
    id: nameHash(policy.id),
    network: networkHash(policy.network),
    vouchers: vouchersHash(policy.vouchers),
  }
}

/** Hashes the names joined by spaces. */
function vouchersHash(vouchers: readonly string[]): Bytes32 {
  return nameHash(vouchers.join(' '))
}

function networkHash(network: string | null): Bytes32 {
  return network === null ? ZERO_BYTES32 : nameHash(network)
}

/** Where one job may be computed: the policy's set, narrowed by the request, whose groups mean what they mean today. */
export function effectiveCompute(policy: CompiledPolicy, narrowTo?: readonly string[]): CountrySet {
  return narrowTo === undefined ? policy.compute : intersect(policy.compute, countrySet(narrowTo))
}
