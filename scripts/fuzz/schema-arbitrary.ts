/** Makes fast-check arbitraries from the JSON schemas of the API's description. */
import fc from 'fast-check'

/** The part of JSON Schema that the description uses. */
export interface Schema {
  readonly type?: string | readonly string[] | undefined
  readonly enum?: readonly unknown[] | undefined
  readonly const?: unknown
  readonly anyOf?: readonly AnySchema[] | undefined
  readonly oneOf?: readonly AnySchema[] | undefined
  readonly allOf?: readonly AnySchema[] | undefined
  readonly properties?: Readonly<Record<string, AnySchema>> | undefined
  readonly required?: readonly string[] | undefined
  readonly additionalProperties?: AnySchema | undefined
  readonly items?: AnySchema | undefined
  readonly prefixItems?: readonly AnySchema[] | undefined
  readonly minItems?: number | undefined
  readonly maxItems?: number | undefined
  readonly minimum?: number | undefined
  readonly maximum?: number | undefined
  readonly minLength?: number | undefined
  readonly maxLength?: number | undefined
  readonly pattern?: string | undefined
}

/** `true` allows anything, `false` nothing. */
export type AnySchema = Schema | boolean

/** Values by member name, for schemas that are too wide to pass a route's first check. */
export type Hints = Readonly<Record<string, fc.Arbitrary<unknown>>>

/** Most items of an array; more would only slow the run. */
const MOST = 12
const DEPTH = 6

export function fromSchema(schema: AnySchema, hints: Hints, depth = DEPTH): fc.Arbitrary<unknown> {
  const inner = (part: AnySchema) => fromSchema(part, hints, depth - 1)
  if (depth <= 0) return fc.constant(null)
  if (typeof schema === 'boolean') return fc.jsonValue({ maxDepth: 2 })
  if (schema.const !== undefined) return fc.constant(schema.const)
  if (schema.enum !== undefined) return fc.constantFrom(...schema.enum)
  const choices = schema.anyOf ?? schema.oneOf
  if (choices !== undefined) return fc.oneof(...choices.map(inner))
  if (schema.allOf !== undefined) {
    return fc
      .tuple(...schema.allOf.map(inner))
      .map((parts) => Object.assign({}, ...parts) as unknown)
  }
  if (Array.isArray(schema.type)) {
    return fc.oneof(...schema.type.map((type: string) => inner({ ...schema, type })))
  }
  switch (schema.type) {
    case 'object':
      return objectOf(schema, hints, depth)
    case 'array':
      return arrayOf(schema, inner)
    case 'string':
      return stringOf(schema)
    case 'integer':
      return fc.integer({ min: bound(schema.minimum, -1_000), max: bound(schema.maximum, 1_000) })
    case 'number':
      return fc.double({ noNaN: true, min: schema.minimum ?? -1e6, max: schema.maximum ?? 1e6 })
    case 'boolean':
      return fc.boolean()
    case 'null':
      return fc.constant(null)
    default:
      return fc.jsonValue({ maxDepth: 2 })
  }
}

function objectOf(schema: Schema, hints: Hints, depth: number): fc.Arbitrary<unknown> {
  const { properties = {}, required = [], additionalProperties } = schema
  const members = Object.entries(properties).map(([name, part]) => {
    const plain = fromSchema(part, hints, depth - 1)
    const hint = hints[name]
    const value = hint === undefined ? plain : fc.oneof({ weight: 4, arbitrary: hint }, plain)
    return [name, value] as const
  })
  const known = fc.record(Object.fromEntries(members), { requiredKeys: [...required] })
  if (typeof additionalProperties !== 'object' || members.length > 0) return known
  return fc.dictionary(
    fc.string({ maxLength: 12 }),
    fromSchema(additionalProperties, hints, depth - 1),
    {
      maxKeys: 4,
    },
  )
}

function arrayOf(schema: Schema, inner: (part: AnySchema) => fc.Arbitrary<unknown>) {
  if (schema.prefixItems !== undefined) return fc.tuple(...schema.prefixItems.map(inner))
  const minLength = Math.min(schema.minItems ?? 0, MOST)
  const maxLength = Math.max(minLength, Math.min(schema.maxItems ?? MOST, MOST))
  return fc.array(inner(schema.items ?? {}), { minLength, maxLength })
}

function stringOf({ pattern, minLength = 0, maxLength = MOST * 4 }: Schema): fc.Arbitrary<string> {
  if (pattern !== undefined) {
    try {
      return fc.stringMatching(new RegExp(pattern), { maxLength: 80 })
    } catch {
      // fast-check cannot generate from every pattern, such as a look-ahead: any text will do.
    }
  }
  const least = Math.min(minLength, MOST * 4)
  return fc.string({ minLength: least, maxLength: Math.max(least, Math.min(maxLength, MOST * 4)) })
}

function bound(limit: number | undefined, otherwise: number): number {
  if (limit === undefined) return otherwise
  return Math.max(-(2 ** 31), Math.min(2 ** 31 - 1, Math.trunc(limit)))
}
