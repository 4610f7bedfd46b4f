/** Describes faults of values, where the schema has no message of its own. */
import type { z } from 'zod'

type Issue = z.core.$ZodRawIssue
type Nested = z.core.$ZodIssue

/** Most values that a message lists. */
const VALUES_NAMED = 24

const NOUNS: Readonly<Record<string, string>> = {
  string: 'a text',
  number: 'a number',
  int: 'a whole number',
  boolean: 'true or false',
  array: 'a list',
  tuple: 'a list',
  object: 'an object',
  record: 'an object',
  null: 'null',
}

const FORMATS: Readonly<Record<string, string>> = {
  base64: 'base64',
  url: 'a URL',
  datetime: 'a time like 2026-11-30T12:00:00Z',
  date: 'a date like 2026-11-30',
}

/** An error map for one parse. @returns undefined where the schema's own message is better */
export function describeIssue(issue: Issue): string | undefined {
  switch (issue.code) {
    case 'invalid_type':
      return issue.input === undefined
        ? `is missing; it must be ${noun(issue.expected)}`
        : `must be ${noun(issue.expected)}`
    case 'invalid_value':
      return `must be ${either(issue.values.map((value) => JSON.stringify(value)))}`
    case 'too_small':
      return bound(
        issue.origin,
        issue.inclusive === false ? 'more than' : 'at least',
        issue.minimum,
      )
    case 'too_big':
      return bound(issue.origin, issue.inclusive === false ? 'less than' : 'at most', issue.maximum)
    case 'not_multiple_of':
      return `must be a multiple of ${issue.divisor}`
    case 'invalid_format':
      return issue.format === 'regex'
        ? `must match ${issue.pattern ?? 'its pattern'}`
        : `must be ${FORMATS[issue.format] ?? `a valid ${issue.format}`}`
    case 'invalid_union':
      return describeUnion(issue.errors, issue.input)
    default:
      return undefined
  }
}

function bound(origin: string, how: string, limit: number | bigint): string {
  const unit = origin === 'string' ? 'character' : origin === 'number' ? undefined : 'item'
  if (unit === undefined) return `must be ${how} ${limit}`
  return `must have ${how} ${limit} ${limit === 1 ? unit : `${unit}s`}`
}

/** The kinds of value that a union accepts, when the value is of none of them. */
function describeUnion(errors: readonly (readonly Nested[])[], input: unknown): string {
  if (input === undefined) return 'is missing'
  const kinds = errors.map(([first]) =>
    first?.code === 'invalid_type' && first.path.length === 0 ? noun(first.expected) : undefined,
  )
  const known = kinds.filter((kind) => kind !== undefined)
  if (known.length === 0 || known.length < kinds.length) return 'fits none of the allowed forms'
  return `must be ${either([...new Set(known)])}`
}

function noun(expected: string): string {
  return NOUNS[expected] ?? expected
}

/** `a`, `a or b`, `a, b or c` */
function either(all: readonly string[]): string {
  const named = all.slice(0, VALUES_NAMED)
  if (named.length < all.length) return `one of ${named.join(', ')}, …`
  const last = named.at(-1) ?? 'something else'
  return named.length < 2 ? last : `${named.slice(0, -1).join(', ')} or ${last}`
}
