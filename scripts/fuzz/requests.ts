/** Generates valid, nearly valid and invalid requests to every route of the API's description. */
import fc from 'fast-check'
import { z } from 'zod'
import { MANIFESTS } from '#shared/job/manifests.ts'
import { manifestDigest } from '#shared/job/model.ts'
import { EXAMPLES } from './examples.ts'
import { headerSets, mutate, mutation, rawBody } from './hostile.ts'
import { fromSchema, type AnySchema, type Hints } from './schema-arbitrary.ts'

const Reference = z.object({ $ref: z.string() })
const Description = z.object({
  components: z.object({ schemas: z.record(z.string(), z.custom<AnySchema>()) }),
  paths: z.record(
    z.string(),
    z.record(
      z.string(),
      z.looseObject({
        security: z.array(z.record(z.string(), z.unknown())).default([]),
        requestBody: z
          .object({ content: z.record(z.string(), z.object({ schema: Reference })) })
          .optional(),
      }),
    ),
  ),
})

export interface FuzzRequest {
  readonly method: string
  /** The path template of the description, for reports. */
  readonly route: string
  readonly path: string
  readonly headers: Readonly<Record<string, string>>
  readonly body: string | Uint8Array | undefined
  /** Owner of the key that is sent. */
  readonly key: 'own' | 'other' | 'operator' | 'wrong' | 'none'
}

const WGSL =
  '@group(0) @binding(0) var<storage, read_write> a: array<u32>;\n' +
  '@compute @workgroup_size(1) fn main() { a[0] = 1u; }'
const ZEROES = Buffer.alloc(12).toString('base64')

/** Values that pass a route's first check, where its schema alone is too wide. */
const HINTS: Hints = {
  model: fc.constantFrom(...MANIFESTS.map(({ id }) => id), 'nothing'),
  kernel: fc.constantFrom<unknown>('fft@1', 'softmax@1', 'nothing@1', {
    wgsl: WGSL,
    entryPoint: 'main',
    workgroups: [1, 1, 1],
  }),
  wgsl: fc.constantFrom(WGSL, 'fn main() {}', 'not wgsl'),
  entryPoint: fc.constant('main'),
  workgroups: fc.constantFrom([1, 1, 1], [0, 1, 1], [65_535, 65_535, 65_535]),
  sizeBytes: fc.constantFrom(4, 0, 5, 4_294_967_296),
  allow: fc.constantFrom(['DE'], ['EU', 'CH'], ['XX'], []),
  name: fc.constantFrom(...MANIFESTS.flatMap(({ inputs }) => inputs.map(({ name }) => name))),
  shape: fc.constantFrom(
    [1],
    [2, 2, 3],
    [0],
    [2, 0, 3],
    [65_536, 65_536],
    [1, 1, 1, 1, 1, 1, 1, 1, 1],
  ),
  datatype: fc.constantFrom('BYTES', 'UINT8', 'FP32', 'FP16', 'FP128'),
  data: fc.constantFrom<unknown>(
    ['a'],
    [1, 2, 3],
    Array.from({ length: 12 }, () => 7),
    ZEROES,
    [],
    [[[]]],
  ),
  binary_data_size: fc.constantFrom(0, 1, 12, 4_294_967_296),
  input: fc.constantFrom<unknown>('text', ['a', 'b'], [], [1, 2], ''),
  messages: fc.constantFrom<unknown>([{ role: 'user', content: 'hello' }], [], [{ role: 'x' }]),
  max_tokens: fc.constantFrom(1, 0, 4_294_967_296),
  /** Few names: each tenant leaves an object behind. */
  tenant: fc.constantFrom('other', 'UPPER', '', 'a'.repeat(40)),
  policy: fc.constantFrom('personal-eea', 'nothing'),
}

const PATH_VALUES: Hints = {
  model: fc.constantFrom(
    'littoral-embed-400k',
    'pp-ocr-rec',
    ...MANIFESTS.map(({ id }) => id),
    'nothing',
  ),
  tenant: fc.constantFrom('other', 'nobody', 'UPPER', '%00'),
  id: fc.constantFrom(
    'personal-eea',
    'mine',
    '1',
    `0x${'0'.repeat(64)}`,
    `key_other_${'0'.repeat(12)}`,
    '%2e%2e',
    'a'.repeat(300),
  ),
  version: fc.constantFrom('1', `0x${'0'.repeat(64)}`, ...MANIFESTS.map(manifestDigest)),
}

/** @param description the committed docs/openapi.json */
export function createRequests(description: unknown): fc.Arbitrary<FuzzRequest> {
  const { paths, components } = Description.parse(description)
  const operations = Object.entries(paths).flatMap(([route, methods]) =>
    Object.entries(methods).map(([method, operation]) => {
      const reference = operation.requestBody?.content['application/json']?.schema.$ref
      const schema = components.schemas[reference?.split('/').at(-1) ?? '']
      return { route, method: method.toUpperCase(), schema, security: operation.security }
    }),
  )
  return fc.oneof(
    ...operations.map(({ route, method, schema, security }) => ({
      // Most faults are in routes that take a body.
      weight: schema === undefined ? 1 : 4,
      arbitrary: fc.record({
        method: fc.constant(method),
        route: fc.constant(route),
        path: pathOf(route),
        headers: fc.oneof({ weight: 4, arbitrary: fc.constant({}) }, headerSets),
        body: schema === undefined ? fc.constant(undefined) : bodyOf(route, schema),
        key: keyOf(route, security),
      }),
    })),
  )
}

function pathOf(route: string): fc.Arbitrary<string> {
  const names = [...route.matchAll(/\{(\w+)\}/g)].map(([, name = '']) => name)
  const values = names.map((name) => PATH_VALUES[name] ?? fc.constant('x'))
  const query = fc.constantFrom(
    '',
    '',
    '?',
    '?tenant=other',
    '?x=0x1&y=%zz',
    `?${'a'.repeat(2_000)}`,
  )
  return fc.tuple(fc.tuple(...values), query).map(([filled, tail]) => {
    let at = 0
    return route.replaceAll(/\{\w+\}/g, () => String(filled[at++])) + tail
  })
}

function bodyOf(route: string, schema: AnySchema): fc.Arbitrary<string | Uint8Array> {
  const made = fromSchema(schema, HINTS)
  const examples = EXAMPLES[route]
  const good = examples === undefined ? made : fc.constantFrom(...examples)
  const json = (value: unknown) => JSON.stringify(value) ?? ''
  const wrong = (value: fc.Arbitrary<unknown>, most: number) =>
    fc
      .tuple(value, fc.array(mutation, { minLength: 1, maxLength: most }))
      .map(([body, wrongs]) => json(wrongs.reduce(mutate, body)))
  return fc.oneof(
    { weight: 3, arbitrary: good.map(json) },
    { weight: 5, arbitrary: wrong(good, 2) },
    { weight: 2, arbitrary: made.map(json) },
    { weight: 2, arbitrary: wrong(made, 3) },
    { weight: 1, arbitrary: rawBody },
  )
}

function keyOf(
  route: string,
  security: readonly Readonly<Record<string, unknown>>[],
): fc.Arbitrary<FuzzRequest['key']> {
  const isOperator = security.some((choice) => 'operator' in choice)
  // Policies are changed for another tenant, so that jobs keep the first tenant's policy.
  const isChanging = route.startsWith('/v1/policies')
  const right = isOperator ? 'operator' : isChanging ? 'other' : 'own'
  return fc.oneof(
    { weight: 12, arbitrary: fc.constant(right) },
    { weight: 1, arbitrary: fc.constantFrom('wrong' as const, 'none' as const) },
  )
}
