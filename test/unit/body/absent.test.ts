/** Null is absent in every request schema, found by walking them. */
import { describe, expect, it } from 'vitest'
import type { z } from 'zod'
import { toAppError } from '#shared/base/errors.ts'
import { OPERATIONS } from '#scripts/generate/api-description.ts'
import { DryRunQuestion } from '#worker/api/policies/dry-run.ts'
import { parseBody } from '#worker/body/faults.ts'
import { ClientMessage } from '#worker/hub/session/messages.ts'

type Schema = z.core.$ZodType
type Path = readonly (string | number)[]

/** A value with null for an optional member, and the member's path. */
interface Sample {
  readonly value: unknown
  readonly path: Path
}

const REQUESTS: readonly (readonly [string, z.ZodType])[] = [
  ...OPERATIONS.flatMap(({ method, path, body }) =>
    body === undefined ? [] : [[`${method} ${path}`, body] as const],
  ),
  ['GET /v1/sessions', ClientMessage],
  ['a dry run as it is read first', DryRunQuestion],
]

/** The definition inside optional, nullable, defaulted and piped schemas. */
function defOf(schema: Schema): z.core.$ZodTypes['_zod']['def'] {
  const def = (schema as z.core.$ZodTypes)._zod.def
  switch (def.type) {
    case 'optional':
    case 'nullable':
    case 'default':
      return defOf(def.innerType)
    case 'pipe':
      return defOf(def.in)
    default:
      return def
  }
}

/** A nearly valid value: required members, and the first of several choices. */
function plain(schema: Schema): unknown {
  const def = defOf(schema)
  switch (def.type) {
    case 'object': {
      const needed = Object.entries(def.shape).filter(([, part]) => part._zod.optin !== 'optional')
      return Object.fromEntries(needed.map(([name, part]) => [name, plain(part)]))
    }
    case 'array':
      return [plain(def.element)]
    case 'tuple':
      return def.items.map((item) => plain(item))
    case 'literal':
      return def.values[0]
    case 'enum':
      return Object.values(def.entries)[0]
    case 'union':
      return def.options[0] && plain(def.options[0])
    case 'record':
      return {}
    case 'number':
      return 1
    case 'boolean':
      return true
    default:
      return 'a'
  }
}

/** One sample for each optional member at any depth. */
function samples(schema: Schema): Sample[] {
  const def = defOf(schema)
  switch (def.type) {
    case 'object': {
      const base = plain(schema) as object
      return Object.entries(def.shape).flatMap(([name, part]) => [
        ...(part._zod.optin === 'optional' ? [sample(base, name, { value: null, path: [] })] : []),
        ...samples(part).map((inner) => sample(base, name, inner)),
      ])
    }
    case 'array':
      return samples(def.element).map(({ value, path }) => ({ value: [value], path: [0, ...path] }))
    case 'union':
      return def.options.flatMap(samples)
    default:
      return []
  }
}

function sample(base: object, name: string, { value, path }: Sample): Sample {
  return { value: { ...base, [name]: value }, path: [name, ...path] }
}

function without(value: unknown, [first, ...rest]: Path): unknown {
  if (Array.isArray(value)) return [without(value[0], rest)]
  const entries = Object.entries(value as object)
  if (rest.length === 0) return Object.fromEntries(entries.filter(([name]) => name !== first))
  return Object.fromEntries(
    entries.map(([name, member]) => [name, name === first ? without(member, rest) : member]),
  )
}

function outcome(schema: z.ZodType, body: unknown): unknown {
  try {
    return parseBody(schema, body)
  } catch (error) {
    return toAppError(error).meta.errors
  }
}

describe.each(REQUESTS)('%s', (_, schema) => {
  const found = samples(schema)

  it.each(found.map((each) => [each.path.join('/'), each] as const))(
    'treats null for %s as absent',
    (_name, { value, path }) => {
      expect(outcome(schema, value)).toEqual(outcome(schema, without(value, path)))
    },
  )

  it('ignores null for an unknown member', () => {
    const body = plain(schema) as object
    expect(outcome(schema, { ...body, nobodys: null })).toEqual(outcome(schema, body))
  })
})

describe('a meaningful null', () => {
  it('stays in free-form values', () => {
    const chat = OPERATIONS.find(({ path }) => path === '/v1/chat/completions')?.body
    const schema = { type: 'object', properties: { a: { enum: [null, 1], default: null } } }
    const body = {
      model: 'm',
      messages: [{ role: 'user', content: 'a' }],
      response_format: { type: 'json_schema', json_schema: { name: 'a', schema } },
    }
    expect(chat && parseBody(chat, body)).toEqual(body)
  })

  it('is refused where a value is needed', () => {
    const embeddings = OPERATIONS.find(({ path }) => path === '/v1/embeddings')?.body
    const faults = embeddings && outcome(embeddings, { model: null, residency: { allow: null } })
    const pointers = (faults as { pointer: string }[]).map(({ pointer }) => pointer)
    expect(pointers).toEqual(['/model', '/input', '/residency/allow'])
  })
})
