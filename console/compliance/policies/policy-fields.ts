/** The fields of a policy as people read and edit them, each at its JSON pointer. */
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
  /** Of choices that stand for a number or for none. */
  readonly toJson?: (text: string) => unknown
}

const EVIDENCE: readonly Choice[] = [
  { value: 'declared', label: 'declared: the node says so' },
  { value: 'observed', label: 'observed: its connection comes from there' },
  { value: 'bounded', label: 'bounded: round trips prove it inside' },
  { value: 'attested', label: 'attested: signed for by the operator' },
]

export const POLICY_FIELDS: readonly PolicyField[] = [
  {
    pointer: '/compute/allow',
    label: 'May be computed in',
    hint: 'Countries and groups. Nothing else ever gets the job.',
    kind: 'regions',
  },
  {
    pointer: '/compute/deny',
    label: 'But never in',
    hint: 'Taken out of the above, whatever group it stands in.',
    kind: 'regions',
  },
  {
    pointer: '/ingress/allow',
    label: 'May enter in',
    hint: 'Where the TLS connection of a request may end. Left empty: only where jobs may be computed.',
    kind: 'regions',
  },
  {
    pointer: '/ingress/deny',
    label: 'But never enter in',
    hint: 'Taken out of the above.',
    kind: 'regions',
  },
  {
    pointer: '/minEvidence',
    label: 'Weakest evidence of a node’s place',
    hint: 'A policy that asks for more has fewer nodes to choose from.',
    kind: 'choice',
    choices: EVIDENCE,
  },
  {
    pointer: '/dataClass',
    label: 'Data class',
    hint: 'phi runs on dedicated nodes only; special never on public ones.',
    kind: 'choice',
    choices: plain(DATA_CLASSES),
  },
  {
    pointer: '/personalOnPublicNodes',
    label: 'Personal data may reach public nodes',
    hint: 'The opt-in by name. It opens nothing for special and phi data.',
    kind: 'switch',
  },
  {
    pointer: '/nodeTrust',
    label: 'Least trusted kind of node',
    hint: 'public: anybody’s browser tab; verified: vouched for by a key; dedicated: the operator’s own. The data class may ask for more: personal data for verified nodes, unless it may reach public ones.',
    kind: 'choice',
    choices: plain(NODE_TRUSTS),
  },
  {
    pointer: '/vouchers',
    label: 'Whose word for a node counts',
    hint: 'own: this tenant’s keys; operator: the operator’s keys and attestations; tenant:NAME: that tenant’s; anyone. A node that only others vouch for is a public node.',
    kind: 'names',
    toJson: (text) => text.split(/[\s,;]+/).filter((name) => name !== ''),
  },
  {
    pointer: '/network',
    label: 'Only nodes of network',
    hint: 'A consortium’s name; leave empty for any.',
    kind: 'name',
    toJson: (text) => (text === '' ? null : text),
  },
  {
    pointer: '/verification',
    label: 'How answers must be checked',
    hint: 'No node can give replicated answers yet, so such a policy refuses every job.',
    kind: 'choice',
    choices: plain(VERIFICATION_LEVELS),
  },
  {
    pointer: '/storage',
    label: 'Records are kept in',
    hint: 'Jurisdiction of job records, logs and receipts. any pins them to no place.',
    kind: 'choice',
    choices: [{ value: '', label: 'where this tenant’s records are' }, ...plain(JURISDICTIONS)],
    toJson: (text) => (text === '' ? undefined : text),
  },
  {
    pointer: '/retentionDays',
    label: 'Days until records are erased',
    hint: 'From 1 to 3650. What the log says of phi jobs is kept six years all the same.',
    kind: 'days',
  },
  {
    pointer: '/regions',
    label: 'List of groups',
    hint: 'The dated list that says which countries a group means.',
    kind: 'choice',
    choices: REGION_LISTS.map(({ version }) => ({
      value: String(version),
      label: version === CURRENT_REGIONS ? `${listDate(version)} (newest)` : listDate(version),
    })),
    toJson: Number,
  },
]

/** The value at a JSON pointer; undefined where there is none. */
export function valueAt(document: unknown, pointer: string): unknown {
  let value = document
  for (const part of parts(pointer)) {
    if (typeof value !== 'object' || value === null) return undefined
    value = (value as Readonly<Record<string, unknown>>)[part]
  }
  return value
}

/** A copy with another value there. */
export function withValue(document: unknown, pointer: string, value: unknown): unknown {
  const [first, ...rest] = parts(pointer)
  if (first === undefined) return value
  const object = typeof document === 'object' && document !== null ? document : {}
  const below = (object as Readonly<Record<string, unknown>>)[first]
  const inner = rest.length === 0 ? value : withValue(below, `/${rest.join('/')}`, value)
  return { ...object, [first]: inner }
}

/** A value of a draft as text: a draft that came as JSON may hold anything. */
export function textOf(value: unknown): string {
  if (value === null || value === undefined) return ''
  return typeof value === 'object' ? JSON.stringify(value) : `${value as string | number | boolean}`
}

/** The field that a fault's pointer is about: the longest that it begins with. */
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
