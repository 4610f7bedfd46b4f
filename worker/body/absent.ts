/** Treats null as absent in every request body, because many clients write unused members as null. */
import { z } from 'zod'

type Schema = z.core.$ZodType

/**
 * Removes null members that the schema makes optional or does not know. Values that a schema leaves
 * open, such as tensor data or a JSON schema, stay as they are.
 */
export function withoutNulls(schema: Schema, body: unknown): unknown {
  return strip(choices(schema), body)
}

function strip(schemas: readonly Schema[], value: unknown): unknown {
  if (Array.isArray(value)) return stripItems(schemas, value)
  if (typeof value !== 'object' || value === null) return value
  const open = schemas.flatMap(membersOf)
  if (open.length === 0) return value
  return Object.fromEntries(
    Object.entries(value).flatMap(([name, member]: [string, unknown]) => {
      const known = open.flatMap((find) => find(name) ?? [])
      if (member === null) return known.some(needsNull) ? [[name, null]] : []
      return [[name, strip(known.flatMap(choices), member)]]
    }),
  )
}

function stripItems(schemas: readonly Schema[], items: readonly unknown[]): readonly unknown[] {
  const at = (index: number) => schemas.flatMap((schema) => itemAt(schema, index)).flatMap(choices)
  const isList = schemas.every((schema) => defOf(schema).type !== 'tuple')
  const each = at(0)
  if (isList && each.every((schema) => !CONTAINERS.has(defOf(schema).type))) return items
  return items.map((item, index) => strip(isList ? each : at(index), item))
}

const CONTAINERS: ReadonlySet<string> = new Set(['object', 'record', 'array', 'tuple'])

/** Functions that find a member's schema in an object schema; empty for other schemas. */
function membersOf(schema: Schema): ((name: string) => Schema | undefined)[] {
  const def = defOf(schema)
  if (def.type === 'record') return [() => def.valueType]
  if (def.type !== 'object') return []
  return [(name) => (Object.hasOwn(def.shape, name) ? def.shape[name] : undefined)]
}

function itemAt(schema: Schema, index: number): Schema[] {
  const def = defOf(schema)
  if (def.type === 'array') return [def.element]
  const item = def.type === 'tuple' ? (def.items[index] ?? def.rest) : undefined
  return item == null ? [] : [item]
}

/** Tells whether null is meaningful: the member is required and its schema accepts null. */
function needsNull(schema: Schema): boolean {
  return schema._zod.optin !== 'optional' && z.core.safeParse(schema, null).success
}

/** The alternatives of a schema, without wrappers. */
function choices(schema: Schema): Schema[] {
  const def = defOf(schema)
  switch (def.type) {
    case 'optional':
    case 'nullable':
    case 'default':
    case 'prefault':
    case 'nonoptional':
    case 'readonly':
    case 'catch':
      return choices(def.innerType)
    case 'pipe':
      return choices(def.in)
    case 'union':
      return def.options.flatMap(choices)
    case 'intersection':
      return [...choices(def.left), ...choices(def.right)]
    default:
      return [schema]
  }
}

function defOf(schema: Schema) {
  return (schema as z.core.$ZodTypes)._zod.def
}
