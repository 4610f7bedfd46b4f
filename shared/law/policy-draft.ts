/** Completes a policy draft: each omitted field gets a safe value, and publishing says which. Pure. */
import { describePlaces } from './country-words.ts'
import { leastTrust } from './explain.ts'
import { PolicyDraft, type Jurisdiction, type Policy } from './policy.ts'
import { listDate } from './region.ts'

/**
 * Completes a draft: requests enter where jobs are computed, and records stay where the tenant's records are.
 * @param home jurisdiction of the tenant's records
 */
export function completePolicy(draft: PolicyDraft, home: Jurisdiction = 'any'): Policy {
  const { id, ingress = draft.compute, compute, storage = home, ...rest } = draft
  return { id, ingress, compute, storage, ...rest }
}

/** A new tenant's policy until it publishes one: personal data, verified nodes, EEA only. */
export const DEFAULT_POLICY: Policy = completePolicy(
  PolicyDraft.parse({ id: 'personal-eea', compute: { allow: ['EEA'] } }),
)

/** A field that a draft omitted, and the value that it gets. */
export interface Assumption {
  readonly pointer: string
  readonly value: unknown
  readonly means: string
}

type Pin = Exclude<keyof Policy, 'id' | 'compute'>

const MEANS: Readonly<Record<Pin, (policy: Policy) => string>> = {
  ingress: ({ compute }) =>
    `requests may enter only where jobs may be computed: ${describePlaces(compute)}`,
  storage: ({ storage }) =>
    storage === 'any'
      ? 'records may be kept in any jurisdiction, because this tenant’s are pinned to none'
      : `records are kept in ${storage}, where this tenant’s are`,
  minEvidence: ({ minEvidence }) => `a node’s place needs evidence ${minEvidence} or better`,
  dataClass: ({ dataClass }) => `every input counts as ${dataClass} data`,
  personalOnPublicNodes: () => 'personal data never reaches public nodes',
  nodeTrust: (policy) => `the data class decides: nodes that are ${leastTrust(policy)} or better`,
  vouchers: () =>
    'a node counts as verified or dedicated only if this tenant’s own keys or the operator vouch for it',
  verification: () => 'one node answers, and no other node checks it',
  network: () => 'nodes of any network, or of none',
  retentionDays: ({ retentionDays }) => `records of a job are erased after ${retentionDays} days`,
  regions: ({ regions }) =>
    `groups have the meaning of the list of ${listDate(regions)}, for as long as this version exists`,
}

/** @param written the draft before defaults were filled in */
export function assumptions(
  written: Readonly<Record<string, unknown>>,
  policy: Policy,
): Assumption[] {
  return (Object.keys(MEANS) as Pin[])
    .filter((pin) => written[pin] === undefined)
    .map((pin) => ({ pointer: `/${pin}`, value: policy[pin], means: MEANS[pin](policy) }))
}
