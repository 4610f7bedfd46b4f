/**
 * Parses bodies of APIs that others designed (OpenAI, Open Inference Protocol). An unknown member
 * passes, and is reported, only if its name is a label (caller, trace, account). Neither name nor
 * value may concern places, protection or the answer. Unknown parameters are therefore refused.
 */
import type { z } from 'zod'
import type { FieldFault } from '#shared/base/errors.ts'
import { refusedParameters, type Refusals } from './text-parameters.ts'
import { invalidRequest, parseBody, toPointer } from './faults.ts'
import { isJsonSchema, isLabel, isPlaces, speaksOfAnswer, speaksOfPolicy } from './member-words.ts'
import { nearestName, notKnown } from './near-names.ts'
import { isNothing, isRecord } from './unknown-members.ts'

/** Depth and number of values that are searched in an unknown member. */
const DEEPEST = 8
const MOST_VALUES = 1_000
const NAME_CHARS = 64

export interface OpenBody<T> {
  readonly request: T
  /** Names of members without effect. */
  readonly ignored: readonly string[]
}

interface Judged {
  /** Known members that are not supported. */
  readonly refusals?: Refusals
  /** Finds more faults in the body, to be reported together. */
  readonly look?: (body: unknown) => readonly FieldFault[]
}

/** @throws {AppError} invalid_request with a pointer to each fault */
export function parseOpenBody<T>(
  schema: z.ZodType<T> & { readonly shape: object },
  body: unknown,
  { refusals = {}, look }: Judged = {},
): OpenBody<T> {
  const known = [...Object.keys(schema.shape), ...Object.keys(refusals)]
  const unknown = isRecord(body)
    ? Object.entries(body).filter(([name, value]) => !known.includes(name) && value !== null)
    : []
  const unknownFaults = unknown.flatMap(([name, value]) => {
    const detail = whyRefused(name, value, known)
    return detail === undefined ? [] : [{ pointer: toPointer([name]), detail }]
  })
  const refused = [...refusedParameters(body, refusals), ...(look?.(body) ?? []), ...unknownFaults]
  if (refused.length > 0) throw invalidRequest(refused)
  return { request: parseBody(schema, body), ignored: unknown.map(([name]) => name) }
}

const NARROWS =
  'is unknown, and reads like a restriction on where the job may run; use "policy" or "residency"'
const STEERS = 'is unknown, and reads as if it changed the answer, but would be dropped'

function whyRefused(name: string, value: unknown, known: readonly string[]): string | undefined {
  const near = nearestName(name, known)
  if (near !== undefined) return notKnown(near)
  if (speaksOfPolicy(name)) return NARROWS
  if (isNothing(value)) return undefined
  if (isPlaces(value)) return NARROWS
  if (speaksOfAnswer(name)) return STEERS
  return (
    refusedInside(value) ??
    (isLabel(name)
      ? undefined
      : 'is unknown and could change the answer; give a mere label a name that begins with "x_"')
  )
}

/** Finds a reason to refuse in the value itself. */
function refusedInside(value: unknown): string | undefined {
  let left = MOST_VALUES
  const look = (each: unknown, depth: number): string | undefined => {
    left -= 1
    if (typeof each !== 'object' || each === null) return undefined
    if (depth > DEEPEST || left < 0) return 'is unknown, and too large to be ignored'
    if (isPlaces(each)) return 'contains a list of places, which would have no effect there'
    if (!Array.isArray(each)) {
      if (isJsonSchema(each))
        return 'is unknown and contains a JSON schema; "response_format" takes one'
      const told = Object.entries(each).find(
        ([name, inner]) => speaksOfPolicy(name) || (!isNothing(inner) && speaksOfAnswer(name)),
      )
      if (told !== undefined)
        return `has "${told[0].slice(0, NAME_CHARS)}" inside, which would have no effect there; write it beside "model"`
    }
    for (const inner of Object.values(each)) {
      const why = look(inner, depth + 1)
      if (why !== undefined) return why
    }
    return undefined
  }
  return look(value, 0)
}
