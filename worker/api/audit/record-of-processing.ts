/**
 * The record of processing activities, GDPR Art. 30
 * (https://eur-lex.europa.eu/eli/reg/2016/679/oj), derived from the active policies and actual
 * placements. Facts that only the controller knows are listed as missing.
 */
import { z } from 'zod'
import { describePlaces } from '#shared/law/country-words.ts'
import { leastTrust } from '#shared/law/explain.ts'
import { DATA_CLASSES, JURISDICTIONS } from '#shared/law/policy.ts'
import { countryCode, countrySet, hasCountry, listCountries } from '#shared/law/region.ts'
import { toCsvRow } from './audit-lines.ts'
import type { RopaFacts } from '#worker/protocols/tenant.ts'

const TRANSFER_BASES = ['inside the EEA', 'adequacy decision (Art. 45)', 'none on record'] as const

export const RopaActivity = z.object({
  activity: z.string(),
  purpose: z.string(),
  dataClass: z.enum(DATA_CLASSES),
  categoriesOfData: z.string(),
  recipients: z.array(z.string()),
  /** Since when new jobs are refused; null while they are accepted. */
  endedAt: z.string().nullable(),
  /** Where jobs may run, in the policy's words: `EU except IE`. */
  allowedIn: z.string(),
  /** The same as a list of countries. */
  allowedCountries: z.array(z.string()),
  /** Actual placements by country. */
  placements: z.array(
    z.object({
      country: z.string(),
      evidence: z.string(),
      trust: z.string(),
      jobs: z.int(),
      transfer: z.enum(TRANSFER_BASES),
      firstAt: z.string(),
      lastAt: z.string(),
    }),
  ),
  thirdCountryTransfers: z.array(z.object({ country: z.string(), basis: z.enum(TRANSFER_BASES) })),
  recordsKeptIn: z.enum(JURISDICTIONS),
  retentionDays: z.int(),
  securityMeasures: z.array(z.string()),
})
export type RopaActivity = z.infer<typeof RopaActivity>

export const RopaReply = z.object({
  object: z.literal('record_of_processing'),
  article: z.literal('GDPR Art. 30'),
  tenant: z.string(),
  madeAt: z.string(),
  /** Size of the audit log at that time. */
  logSize: z.int(),
  activities: z.array(RopaActivity),
  /** Facts that the controller must add. */
  toComplete: z.array(z.string()),
})
export type RopaReply = z.infer<typeof RopaReply>

const CATEGORIES: Readonly<Record<(typeof DATA_CLASSES)[number], string>> = {
  public: 'no personal data',
  personal: 'personal data (Art. 4(1))',
  special: 'special categories of personal data (Art. 9)',
  phi: 'health data (Art. 9), protected health information (HIPAA)',
}

const MEASURES = [
  'payloads are not stored; inputs and outputs are recorded as salted commitments only',
  'residency is enforced at ingress, when a node is chosen, on the node and at settlement',
  'append-only audit log with signed checkpoints, whose root is settled on a chain',
  'API keys are stored as hashes, with scopes; node connections are encrypted and authenticated (noise)',
]

const TO_COMPLETE = [
  'name and contact of controller, representative and data protection officer (Art. 30(1)(a))',
  'the purpose of each activity in the controller’s words: a policy says where, not why',
  'categories of data subjects (Art. 30(1)(c))',
  'safeguards for each transfer whose basis is "none on record" (Art. 46, Art. 49)',
]

const EEA = countrySet(['EEA'])
const ADEQUATE = countrySet(['ADEQUATE'])

export function recordOfProcessing(
  { policies, placements, logSize }: RopaFacts,
  at: { readonly tenant: string; readonly nowMs: number },
): RopaReply {
  const newest = new Map(policies.map((published) => [published.policy.id, published]))
  return {
    object: 'record_of_processing',
    article: 'GDPR Art. 30',
    tenant: at.tenant,
    madeAt: new Date(at.nowMs).toISOString(),
    logSize,
    activities: [...newest.values()].map(({ policy, compiled, retiredAtMs }) => {
      const own = placements.filter((placement) => placement.policy === policy.id)
      const allowed = listCountries(compiled.compute)
      return {
        activity: `${policy.id}@${compiled.version}`,
        purpose: `compute jobs under policy ${policy.id}`,
        dataClass: policy.dataClass,
        categoriesOfData: CATEGORIES[policy.dataClass],
        recipients: recipientsOf(leastTrust(policy), own),
        endedAt: retiredAtMs === null ? null : new Date(retiredAtMs).toISOString(),
        allowedIn: describePlaces(policy.compute),
        allowedCountries: allowed,
        placements: own.map(({ country, evidence, trust, jobs, firstAtMs, lastAtMs }) => ({
          country: countryCode(country),
          evidence,
          trust,
          jobs,
          transfer: transferOf(country),
          firstAt: new Date(firstAtMs).toISOString(),
          lastAt: new Date(lastAtMs).toISOString(),
        })),
        thirdCountryTransfers: transfersOf(own),
        recordsKeptIn: policy.storage,
        retentionDays: policy.retentionDays,
        securityMeasures: MEASURES,
      }
    }),
    toComplete: TO_COMPLETE,
  }
}

const CSV_COLUMNS = [
  'activity',
  'purpose',
  'endedAt',
  'dataClass',
  'categoriesOfData',
  'recipients',
  'allowedIn',
  'allowedCountries',
  'country',
  'evidence',
  'trust',
  'jobs',
  'transfer',
  'firstAt',
  'lastAt',
  'recordsKeptIn',
  'retentionDays',
  'securityMeasures',
] as const

/** One line for each country and kind of node of an activity; one for an activity without placements. */
export function recordAsCsv({ activities }: RopaReply): string {
  const rows = activities.flatMap(({ placements, ...activity }) =>
    (placements.length === 0 ? [{ jobs: 0 }] : placements).map((placement) => {
      const facts: Partial<Record<(typeof CSV_COLUMNS)[number], string | number>> = {
        ...activity,
        ...placement,
        endedAt: activity.endedAt ?? '',
        recipients: activity.recipients.join('; '),
        allowedCountries: activity.allowedCountries.join(' '),
        securityMeasures: activity.securityMeasures.join('; '),
      }
      return CSV_COLUMNS.map((column) => facts[column] ?? '')
    }),
  )
  return [CSV_COLUMNS, ...rows].map(toCsvRow).join('')
}

function recipientsOf(least: string, placements: readonly { readonly trust: string }[]): string[] {
  const trusts = new Set(placements.map(({ trust }) => trust))
  return [
    'the operator of this deployment (its hubs can read inputs and answers in transit)',
    ...[...(trusts.size === 0 ? [least] : trusts)].map((trust) => `${trust} nodes`),
  ]
}

function transfersOf(placements: RopaFacts['placements']): RopaActivity['thirdCountryTransfers'] {
  const outside = placements.map(({ country }) => country).filter((bit) => !hasCountry(EEA, bit))
  return [...new Set(outside)].map((bit) => ({
    country: countryCode(bit),
    basis: transferOf(bit),
  }))
}

function transferOf(country: number): (typeof TRANSFER_BASES)[number] {
  if (hasCountry(EEA, country)) return 'inside the EEA'
  return hasCountry(ADEQUATE, country) ? 'adequacy decision (Art. 45)' : 'none on record'
}
