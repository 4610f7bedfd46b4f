/** Describes entries of the audit log. Pure. */
import { AUDIT_TYPES, parseDetail, type AuditType, type LogEntry } from '#shared/audit/entries.ts'
import { countryCode } from '#shared/law/region.ts'
import type { Place } from '#shared/receipt/receipt.ts'
import { countryName } from '../page/countries.ts'
import { count } from '../page/words.ts'

export const TYPE_LABELS: Readonly<Record<AuditType, string>> = {
  'job.admitted': 'Job admitted',
  'job.placed': 'Job placed',
  'job.refused': 'Job refused',
  'policy.published': 'Policy published',
  'policy.default_set': 'Default policy set',
  'policy.retired': 'Policy retired',
  'key.created': 'Key created',
  'key.rotated': 'Key rotated',
  'key.revoked': 'Key revoked',
  'consumer.named': 'Paying account set',
  'quota.set': 'Quota set',
  'audit.exported': 'Log exported',
  'job.erased': 'Job erased',
  'retention.swept': 'Old records erased',
}

/** Options of a filter by type. */
export const TYPE_OPTIONS = [
  ['', 'Everything'],
  ...AUDIT_TYPES.map((type) => [type, TYPE_LABELS[type]] as const),
] as const

/** Gives one sentence, also for an entry whose details are erased. */
export function describeEntry({ type, opening }: LogEntry): string {
  if (opening === null) return 'The details were erased. This line and its hash remain.'
  const { detail } = opening
  switch (type) {
    case 'job.admitted': {
      const { policyId, policyVersion, attempt } = parseDetail(type, detail)
      return `Under policy ${policyId} version ${policyVersion}${attempt > 1 ? `, attempt ${attempt}` : ''}.`
    }
    case 'job.placed': {
      const { place } = parseDetail(type, detail)
      return `${describePlace(place)}${place.voucher === null ? '' : `, vouched for by ${place.voucher}`}.`
    }
    case 'job.refused': {
      const { code, rule, count: times, policyId } = parseDetail(type, detail)
      return `${code}${rule === null ? '' : ` by rule ${rule}`}${policyId === null ? '' : ` of policy ${policyId}`}${times === 1 ? '' : `, ${times} times`}.`
    }
    case 'audit.exported': {
      const { format, from, to, by } = parseDetail(type, detail)
      return `Entries ${from} to ${to} as ${format}${by === null ? '' : ` by ${by}`}.`
    }
    case 'job.erased': {
      const { entries, receipts, by } = parseDetail(type, detail)
      return `${count(entries.length, 'entry', 'entries')} and ${count(receipts, 'receipt')} of one job${by === null ? '' : ` by ${by}`}.`
    }
    case 'retention.swept': {
      const { receipts, entries } = parseDetail(type, detail)
      return `${count(receipts, 'receipt')} and ${count(entries.length, 'entry', 'entries')} whose retention had ended.`
    }
    default: {
      const { subject, by } = parseDetail(type, detail)
      return `${subject}${by === null ? '' : ` by ${by}`}`
    }
  }
}

/** Gives `Germany, observed (simulated), on a verified node`. */
export function describePlace({ country, evidence, source, trust }: Place): string {
  const seen = source === 'none' ? evidence : `${evidence} (${source})`
  return `${countryName(countryCode(country))}, ${seen}, on a ${trust} node`
}

/** Gives the job that an entry is about. Entries without a job and erased entries give undefined. */
export function jobOf({ opening }: LogEntry): string | undefined {
  const id = opening?.detail['jobId']
  return typeof id === 'string' ? id : undefined
}
