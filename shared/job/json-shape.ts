/** The part of JSON Schema that generated text can be held to while it is written. Refuses the rest by name. */
import { faultsError, type AppError } from '#shared/base/errors.ts'
import { LIMITS } from '#shared/base/limits.ts'

/** Schemas within one JSON schema. */
const JSON_SCHEMA_NODES = 256
/** Properties of one object. */
export const JSON_PROPERTIES = 64
/** Items of one array. */
const JSON_ITEMS = 1_024
/** Values of one `enum`. */
const JSON_CHOICES = 256

export type JsonShape =
  /** Any value, nested at most `LIMITS.jsonDepth`. */
  | { readonly kind: 'any' }
  | { readonly kind: 'string' }
  | { readonly kind: 'number'; readonly isInteger: boolean }
  /** Exactly one of these JSON texts: enum, const, booleans, null. */
  | { readonly kind: 'choice'; readonly texts: readonly string[] }
  | {
      readonly kind: 'array'
      readonly items: JsonShape
      readonly minItems: number
      readonly maxItems: number
    }
  /** Any object where `properties` is undefined. */
  | {
      readonly kind: 'object'
      readonly properties: readonly JsonProperty[] | undefined
    }
  /** One of several shapes whose first characters differ. */
  | { readonly kind: 'union'; readonly of: readonly JsonShape[] }

export interface JsonProperty {
  readonly name: string
  readonly isRequired: boolean
  readonly shape: JsonShape
}

export const ANY_OBJECT: JsonShape = { kind: 'object', properties: undefined }

/** Keywords that do not affect validity. */
const ANNOTATIONS = new Set([
  '$schema',
  '$id',
  '$comment',
  'title',
  'description',
  'default',
  'examples',
  'deprecated',
  'readOnly',
  'writeOnly',
])
const ALWAYS = ['type', 'enum', 'const']
const KEYWORDS: Readonly<Record<string, readonly string[]>> = {
  object: ['properties', 'required', 'additionalProperties'],
  array: ['items', 'minItems', 'maxItems'],
  string: [],
  number: [],
  integer: [],
  boolean: [],
  null: [],
}

/**
 * @param pointer where the schema stands in the request, for faults
 * @throws {AppError} invalid_request, naming the first unsupported keyword, type or size
 */
export function parseJsonShape(schema: unknown, pointer = ''): JsonShape {
  return parseShape(schema, { pointer, depth: 0, budget: { left: JSON_SCHEMA_NODES } })
}

/** Bounds that zod and others write on every integer: the range in which JavaScript is exact. */
function isSafeBound(keyword: string, value: unknown): boolean {
  return (
    (keyword === 'minimum' && value === Number.MIN_SAFE_INTEGER) ||
    (keyword === 'maximum' && value === Number.MAX_SAFE_INTEGER)
  )
}

interface SchemaPosition {
  readonly pointer: string
  readonly depth: number
  readonly budget: { left: number }
}

function parseShape(schema: unknown, place: SchemaPosition): JsonShape {
  if (!isRecord(schema)) throw refuse(place, 'is no schema object')
  if (place.depth > LIMITS.jsonDepth) throw refuse(place, 'is nested too deeply')
  place.budget.left -= 1
  if (place.budget.left < 0) throw refuse(place, `is more than ${JSON_SCHEMA_NODES} schemas`)
  const types = typesOf(schema, place)
  const known = new Set([...ALWAYS, ...types.flatMap((type) => KEYWORDS[type] ?? [])])
  for (const keyword of Object.keys(schema))
    if (!known.has(keyword) && !ANNOTATIONS.has(keyword) && !isSafeBound(keyword, schema[keyword]))
      throw refuse(at(place, keyword), `${JSON.stringify(keyword)} is not supported here`)
  const values = 'const' in schema ? [schema['const']] : schema['enum']
  if (values !== undefined)
    return parseChoice(values, types, at(place, 'const' in schema ? 'const' : 'enum'))
  const shapes = types.map((type) => shapeOf(type, schema, place))
  const [only] = shapes
  if (only === undefined) return { kind: 'any' }
  return shapes.length === 1 ? only : { kind: 'union', of: shapes }
}

function typesOf(schema: Readonly<Record<string, unknown>>, place: SchemaPosition): string[] {
  const { type } = schema
  if (type === undefined) return []
  const types: unknown[] = Array.isArray(type) ? type : [type]
  const named = types.filter((name): name is string => typeof name === 'string')
  const isKnown =
    named.length === types.length && named.every((name) => Object.hasOwn(KEYWORDS, name))
  if (!isKnown || types.length === 0)
    throw refuse(at(place, 'type'), `is ${JSON.stringify(type)}, and not the name of a JSON type`)
  // Every integer is a number, and the shapes of a union must differ in their first character.
  return [...new Set(named)].filter((name) => name !== 'integer' || !named.includes('number'))
}

function shapeOf(
  type: string,
  schema: Readonly<Record<string, unknown>>,
  place: SchemaPosition,
): JsonShape {
  switch (type) {
    case 'object':
      return parseObject(schema, place)
    case 'array':
      return parseArray(schema, place)
    case 'boolean':
      return { kind: 'choice', texts: ['true', 'false'] }
    case 'null':
      return { kind: 'choice', texts: ['null'] }
    case 'string':
      return { kind: 'string' }
    default:
      return { kind: 'number', isInteger: type === 'integer' }
  }
}

function parseObject(schema: Readonly<Record<string, unknown>>, place: SchemaPosition): JsonShape {
  const { properties, required = [], additionalProperties = false } = schema
  if (
    properties === undefined &&
    schema['required'] === undefined &&
    !('additionalProperties' in schema)
  )
    return ANY_OBJECT
  if (additionalProperties !== false)
    throw refuse(
      at(place, 'additionalProperties'),
      'must be false: only named properties are written',
    )
  if (properties !== undefined && !isRecord(properties))
    throw refuse(at(place, 'properties'), 'is no object')
  const entries = Object.entries(properties ?? {})
  if (entries.length > JSON_PROPERTIES)
    throw refuse(at(place, 'properties'), `has more than ${JSON_PROPERTIES} properties`)
  if (!Array.isArray(required)) throw refuse(at(place, 'required'), 'is no list of names')
  const names = new Set<unknown>(required)
  for (const name of names)
    if (typeof name !== 'string' || !entries.some(([known]) => known === name))
      throw refuse(at(place, 'required'), `names ${JSON.stringify(name)}, which is no property`)
  return {
    kind: 'object',
    properties: entries.map(([name, value]) => ({
      name,
      isRequired: names.has(name),
      shape: parseShape(value, inside(at(at(place, 'properties'), name))),
    })),
  }
}

function parseArray(schema: Readonly<Record<string, unknown>>, place: SchemaPosition): JsonShape {
  const { items, minItems = 0, maxItems = Infinity } = schema
  const isSize = (size: unknown) =>
    Number.isInteger(size) && Number(size) >= 0 && Number(size) <= JSON_ITEMS
  if (!isSize(minItems)) throw refuse(at(place, 'minItems'), `is no size up to ${JSON_ITEMS}`)
  if (maxItems !== Infinity && !isSize(maxItems))
    throw refuse(at(place, 'maxItems'), `is no size up to ${JSON_ITEMS}`)
  if (Number(maxItems) < Number(minItems))
    throw refuse(at(place, 'maxItems'), 'is less than minItems')
  return {
    kind: 'array',
    items: items === undefined ? { kind: 'any' } : parseShape(items, inside(at(place, 'items'))),
    minItems: Number(minItems),
    maxItems: Number(maxItems),
  }
}

function parseChoice(values: unknown, types: readonly string[], place: SchemaPosition): JsonShape {
  if (!Array.isArray(values) || values.length === 0) throw refuse(place, 'lists no value')
  const texts = values.map((value: unknown, index) => {
    const fits = types.length === 0 || types.some((type) => isOfType(value, type))
    if (!fits) throw refuse(at(place, String(index)), 'is not of the type beside it')
    return JSON.stringify(value)
  })
  const sizeBytes = texts.reduce((sum, text) => sum + text.length, 0)
  if (texts.length > JSON_CHOICES || sizeBytes > LIMITS.textBytes)
    throw refuse(place, `lists more than ${JSON_CHOICES} values or ${LIMITS.textBytes} bytes`)
  return { kind: 'choice', texts: [...new Set(texts)] }
}

function isOfType(value: unknown, type: string): boolean {
  if (type === 'null') return value === null
  if (type === 'array') return Array.isArray(value)
  if (type === 'object') return isRecord(value)
  if (type === 'integer') return Number.isInteger(value)
  return typeof value === type
}

function isRecord(value: unknown): value is Readonly<Record<string, unknown>> {
  return typeof value === 'object' && value !== null && !Array.isArray(value)
}

function at(place: SchemaPosition, name: string): SchemaPosition {
  const escaped = name.replaceAll('~', '~0').replaceAll('/', '~1')
  return { ...place, pointer: `${place.pointer}/${escaped}` }
}

function inside(place: SchemaPosition): SchemaPosition {
  return { ...place, depth: place.depth + 1 }
}

function refuse({ pointer }: SchemaPosition, detail: string): AppError {
  return faultsError([{ pointer, detail }])
}
