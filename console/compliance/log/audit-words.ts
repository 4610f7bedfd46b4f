/** Entries of the audit log in words. Pure. */
import { parseDetail, type AuditType, type LogEntry } from '#shared/audit/entries.ts'
import { countryCode } from '#shared/law/region.ts'
import { countryName } from '../page/countries.ts'
import { count } from '../page/words.ts'

export const TYPE_LABELS: Readonly<Record<AuditType, string>> = {
  'job.admitted': 'Job admitted',
  'job.placed': 'Job placed',
  'job.refused': 'Job refused',
  'policy.published': 'Policy published',
  'policy.default_set': 'Default policy set',
  'policy.retired': 'Policy retired',
  'key.created': 'Key made',
  'key.rotated': 'Key rotated',
  'key.revoked': 'Key revoked',
  'consumer.named': 'Paying account named',
  'quota.set': 'Quota set',
  'audit.exported': 'Log exported',
  'job.erased': 'Job erased',
  'retention.swept': 'Retention swept',
}

/** One sentence; for an entry whose detail is erased, that it is. */
export function describeEntry({ type, opening }: LogEntry): string {
  if (opening === null) return 'The detail is erased; what stays is this line and its hash.'
  const { detail } = opening
  switch (type) {
    case 'job.admitted': {
      const { policyId, policyVersion, attempt } = parseDetail(type, detail)
      return `Under policy ${policyId} version ${policyVersion}${attempt > 1 ? `, attempt ${attempt}` : ''}.`
    }
    case 'job.placed': {
      const { place } = parseDetail(type, detail)
      return `In ${countryName(countryCode(place.country))} on ${place.evidence} evidence (${place.source}), on a ${place.trust} node${place.voucher === null ? '' : `, vouched for by ${place.voucher}`}.`
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
      return `${count(receipts, 'receipt')} and ${count(entries.length, 'entry', 'entries')} whose time was over.`
    }
    default: {
      const { subject, by } = parseDetail(type, detail)
      return `${subject}${by === null ? '' : ` by ${by}`}`
    }
  }
}

/** The job that an entry is about; undefined for others and for erased ones. */
export function jobOf({ opening }: LogEntry): string | undefined {
  const id = opening?.detail['jobId']
  return typeof id === 'string' ? id : undefined
}
