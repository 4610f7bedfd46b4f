/** Hostile input: values of the wrong kind or size anywhere in a body, and bodies that are not JSON. */
import fc from 'fast-check'

/** Base64 of floats that a tensor may not hold. */
const WILD_FLOATS = Buffer.from(
  new Float32Array([Number.NaN, Number.POSITIVE_INFINITY, -0, 1e-45]).buffer,
).toString('base64')

const HOSTILE: readonly unknown[] = [
  null,
  true,
  0,
  -1,
  0.5,
  1e308,
  2 ** 32,
  2 ** 53,
  Number.MIN_VALUE,
  '',
  'NaN',
  'Infinity',
  '0x10',
  '../../etc/passwd',
  '\u0000',
  '\ud800',
  '\u202e',
  'a'.repeat(20_000),
  WILD_FLOATS,
  'AAA=A',
  [],
  [[]],
  [0, 0, 0],
  [4_294_967_296],
  [65_536, 65_536],
  {},
  { toString: 1 },
  nested(100),
  Array.from({ length: 2_000 }, () => 0),
]

function nested(depth: number): unknown {
  let value: unknown = 1
  for (let i = 0; i < depth; i += 1) value = [value]
  return value
}

/** Names with a special meaning in JavaScript. */
const NAMES = ['__proto__', 'constructor', 'extra', '', 'length', 'a'.repeat(300)] as const

export interface Mutation {
  readonly kind: 'replace' | 'delete' | 'add' | 'repeat'
  /** Index of the place in the value, modulo the number of places. */
  readonly place: number
  readonly value: unknown
  readonly name: string
}

export const mutation: fc.Arbitrary<Mutation> = fc.record({
  kind: fc.constantFrom(
    'replace' as const,
    'replace' as const,
    'delete' as const,
    'add' as const,
    'repeat' as const,
  ),
  place: fc.nat(10_000),
  value: fc.oneof(fc.constantFrom(...HOSTILE), fc.jsonValue({ maxDepth: 3 })),
  name: fc.constantFrom(...NAMES),
})

type Container = Record<string, unknown> | unknown[]

/** Makes a copy with one fault. */
export function mutate(value: unknown, { kind, place, value: other, name }: Mutation): unknown {
  const root: { body: unknown } = { body: structuredClone(value) }
  const places = listPlaces(root)
  const [holder, key] = places[place % places.length] ?? [root, 'body']
  const slot = holder as Record<string, unknown>
  const current = slot[key]
  if (kind === 'replace') slot[key] = other
  else if (kind === 'delete') delete slot[key]
  else if (Array.isArray(current))
    slot[key] = kind === 'add' ? [...current, other] : repeat(current)
  else if (typeof current === 'object' && current !== null) {
    Object.defineProperty(current, name, { value: other, enumerable: true, configurable: true })
  } else slot[key] = [current, other]
  return root.body
}

function repeat(items: readonly unknown[]): unknown[] {
  return Array.from({ length: 300 }, (_, i) => items[i % Math.max(1, items.length)])
}

function listPlaces(root: Container): [Container, string][] {
  const places: [Container, string][] = []
  const visit = (holder: Container) => {
    for (const [key, value] of Object.entries(holder)) {
      if (places.length > 500) return
      places.push([holder, key])
      if (typeof value === 'object' && value !== null) visit(value as Container)
    }
  }
  visit(root)
  return places
}

/** Bodies that are not JSON, or JSON that is hard to parse. */
export const rawBody: fc.Arbitrary<string | Uint8Array> = fc.oneof(
  fc.constantFrom(
    '',
    '{',
    '{"a":',
    'null',
    '[]',
    '"text"',
    '1e999',
    '{"a":1e999}',
    '{"__proto__":{"polluted":true}}',
    '['.repeat(20_000),
    `${'['.repeat(5_000)}${']'.repeat(5_000)}`,
    `${'{"a":'.repeat(3_000)}1${'}'.repeat(3_000)}`,
    `{"model":"${'é'.repeat(50_000)}"}`,
    '\ufeff{}',
    '{"a":"\\ud800"}',
  ),
  fc.uint8Array({ maxLength: 400 }),
  fc.string({ maxLength: 200 }),
)

/** Values of headers that routes read. */
export const headerSets: fc.Arbitrary<Readonly<Record<string, string>>> = fc
  .record(
    {
      'x-littoral-policy': fc.constantFrom('personal-eea', 'nothing', '', 'a'.repeat(500), '../x'),
      'x-littoral-residency': fc.constantFrom('DE', 'EU,CH', '', 'XX', ',,,', 'DE,'.repeat(300)),
      'x-littoral-deadline-ms': fc.constantFrom('1', '5000', '0', '-1', '1e9', 'NaN', ' '),
      'idempotency-key': fc.oneof(
        fc.constantFrom('k1', '"k2"', '""', '"', 'k'.repeat(400)),
        token(),
      ),
      traceparent: fc.constantFrom(
        '00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01',
        `00-${'0'.repeat(32)}-b7ad6b7169203331-01`,
        'x'.repeat(2_000),
      ),
      'inference-header-content-length': fc.constantFrom(
        '0',
        '1',
        '2',
        '20',
        '-1',
        '4294967296',
        'x',
      ),
      'x-request-id': fc.constantFrom('good-request-id', ' ', 'x'.repeat(900)),
      accept: fc.constantFrom('*/*', 'text/event-stream', 'application/xml'),
      'content-type': fc.constantFrom(
        'application/json',
        'text/plain',
        'application/octet-stream',
        'x',
      ),
    },
    { requiredKeys: [] },
  )
  .map((headers) => headers as Record<string, string>)

function token(): fc.Arbitrary<string> {
  return fc.stringMatching(/^[a-z0-9]{1,12}$/)
}
