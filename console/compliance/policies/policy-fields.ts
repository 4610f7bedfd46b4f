/** The fields of a policy as people see and edit them, each with its JSON pointer. */
import {
  DATA_CLASSES,
  JURISDICTIONS,
  NODE_TRUSTS,
  VERIFICATION_LEVELS,
} from '#shared/law/policy.ts'
import { CURRENT_REGIONS, REGION_LISTS } from '#shared/law/region-groups.ts'
import { listDate } from '#shared/law/region.ts'

export interface Choice {
  readonly value: string
  readonly label: string
}

export interface PolicyField {
  readonly pointer: string
  readonly label: string
  readonly hint: string
  readonly kind: 'regions' | 'choice' | 'switch' | 'days' | 'name' | 'names'
  readonly choices?: readonly Choice[]
  /** Converts the control's text to the field's value. @default the text itself */
  readonly toJson?: (text: string) => unknown
}

const EVIDENCE: readonly Choice[] = [
  { value: 'declared', label: 'declared: only the node says so' },
  { value: 'observed', label: 'observed: its connection comes from there' },
  { value: 'bounded', label: 'bounded: round-trip times prove it' },
  { value: 'attested', label: 'attested: the operator signed for it' },
]

export const POLICY_FIELDS: readonly PolicyField[] = [
  {
    pointer: '/compute/allow',
    label: 'Jobs may run in',
    hint: 'Countries and groups. No node anywhere else gets the job.',
    kind: 'regions',
  },
  {
    pointer: '/compute/deny',
    label: 'Jobs may not run in',
    hint: 'Excluded even if a group above contains it.',
    kind: 'regions',
  },
  {
    pointer: '/ingress/allow',
    label: 'Requests may enter in',
    hint: 'Where the TLS connection of a request may end. If empty, only where jobs may run.',
    kind: 'regions',
  },
  {
    pointer: '/ingress/deny',
    label: 'Requests may not enter in',
    hint: 'Excluded even if a group above contains it.',
    kind: 'regions',
  },
  {
    pointer: '/minEvidence',
    label: 'Minimum evidence of a node’s place',
    hint: 'The more a policy requires, the fewer nodes can take its jobs.',
    kind: 'choice',
    choices: EVIDENCE,
  },
  {
    pointer: '/dataClass',
    label: 'Data class',
    hint: 'Data of class phi runs on dedicated nodes only. Data of class special never runs on public nodes.',
    kind: 'choice',
    choices: plain(DATA_CLASSES),
  },
  {
    pointer: '/personalOnPublicNodes',
    label: 'Personal data may reach public nodes',
    hint: 'Off unless you turn it on. It has no effect on special and phi data.',
    kind: 'switch',
  },
  {
    pointer: '/nodeTrust',
    label: 'Minimum trust in a node',
    hint: 'public: anyone’s browser tab. verified: a key vouches for the node. dedicated: the operator’s own. The data class can require more: personal data needs verified nodes, unless it may reach public nodes.',
    kind: 'choice',
    choices: plain(NODE_TRUSTS),
  },
  {
    pointer: '/vouchers',
    label: 'Accepted vouchers',
    hint: 'own: this tenant’s keys. operator: the operator’s keys and attestations. tenant:NAME: that tenant’s keys. anyone: every key. A node that only others vouch for counts as public.',
    kind: 'names',
    toJson: (text) => text.split(/[\s,;]+/).filter((name) => name !== ''),
  },
  {
    pointer: '/network',
    label: 'Only nodes of this network',
    hint: 'The name of a consortium. Leave empty for any network.',
    kind: 'name',
    toJson: (text) => (text === '' ? null : text),
  },
  {
    pointer: '/verification',
    label: 'How answers must be checked',
    hint: 'No node can give replicated answers yet, so a policy that requires them refuses every job.',
    kind: 'choice',
    choices: plain(VERIFICATION_LEVELS),
  },
  {
    pointer: '/storage',
    label: 'Records are kept in',
    hint: 'The jurisdiction of job records, logs and receipts: “any” allows every jurisdiction.',
    kind: 'choice',
    choices: [{ value: '', label: 'where this tenant’s records are' }, ...plain(JURISDICTIONS)],
    toJson: (text) => (text === '' ? undefined : text),
  },
  {
    pointer: '/retentionDays',
    label: 'Days until records are erased',
    hint: 'From 1 to 3650. Log entries on phi jobs are always kept for six years.',
    kind: 'days',
  },
  {
    pointer: '/regions',
    label: 'Version of the country groups',
    hint: 'The dated list that defines which countries a group contains.',
    kind: 'choice',
    choices: REGION_LISTS.map(({ version }) => ({
      value: String(version),
      label: version === CURRENT_REGIONS ? `${listDate(version)} (newest)` : listDate(version),
    })),
    toJson: Number,
  },
]

/** Gives the value at a JSON pointer, or undefined. */
export function valueAt(document: unknown, pointer: string): unknown {
  let value = document
  for (const part of parts(pointer)) {
    if (typeof value !== 'object' || value === null) return undefined
    value = (value as Readonly<Record<string, unknown>>)[part]
  }
  return value
}

/** Gives a copy with `value` at the pointer. */
export function withValue(document: unknown, pointer: string, value: unknown): unknown {
  const [first, ...rest] = parts(pointer)
  if (first === undefined) return value
  const object = typeof document === 'object' && document !== null ? document : {}
  const below = (object as Readonly<Record<string, unknown>>)[first]
  const inner = rest.length === 0 ? value : withValue(below, `/${rest.join('/')}`, value)
  return { ...object, [first]: inner }
}

/** Writes a draft's value as text. A draft written as JSON may hold any value. */
export function textOf(value: unknown): string {
  if (value === null || value === undefined) return ''
  return typeof value === 'object' ? JSON.stringify(value) : `${value as string | number | boolean}`
}

/** Finds the field that contains the pointer of a fault. */
export function fieldOf(pointer: string): PolicyField | undefined {
  return POLICY_FIELDS.filter(
    (field) => pointer === field.pointer || pointer.startsWith(`${field.pointer}/`),
  ).toSorted((a, b) => b.pointer.length - a.pointer.length)[0]
}

function parts(pointer: string): string[] {
  return pointer
    .split('/')
    .slice(1)
    .map((part) => part.replaceAll('~1', '/').replaceAll('~0', '~'))
}

function plain(values: readonly string[]): Choice[] {
  return values.map((value) => ({ value, label: value }))
}
