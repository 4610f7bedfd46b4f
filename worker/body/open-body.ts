/**
 * Bodies of the APIs that others have designed. A member that a route does not know passes, and is told, unless it could
 * change the answer or was meant to narrow where the job runs. Which it is, is judged by the words of its name and by its
 * value, so that a parameter that somebody invents tomorrow is judged, too.
 */
import type { z } from 'zod'
import type { FieldFault } from '#shared/base/errors.ts'
import { refusedParameters, type Refusals } from './text-parameters.ts'
import { invalidRequest, parseBody, toPointer } from './faults.ts'
import { nearestName, notKnown, wordsOf } from './near-names.ts'
import { ResidencyFields } from './residency.ts'
import { isNothing } from './unknown-members.ts'

/** Beginnings of words that say where a job may run, or who may have it. */
const NARROWING =
  /^(?:residen|polic|region|countr|nation|continent|jurisdict|sovereign|territor|geo|locat|place|zone|ingress|egress|datacent|dataclass|provider|rout(?:e|ing)|fallback|evidence|allow|deny|denied|exclud|restrict|eu$|eea$|littoral)/

/** Beginnings of words that say what is to be written, or how. */
const STEERING = new RegExp(
  `^(?:${[
    // shape
    'schema|gramm|regex|pattern|json|xml|yaml|guid|struct|format|constrain|ebnf|gbnf|bnf|lark|choice|enum',
    // what else takes part
    'tool|function|plugin|search|retriev|web|file|image|audio|video|voice|modal|media|docu|context|citation|rag$',
    // choice of tokens
    'temp|top$|min$|max$|num$|typical|mirostat|dry|xtc|epsilon|eta$|tfs|nucle|sampl|penal|repe|freq|presen|beam',
    'length|early|best|divers|contrast|cfg|bias|suppress|bad|ban$|banned|force|stop|eos|bos|ignore|skip|seed|random|determin',
    'greedy|logit|logprob|prob|token|tok|vocab|special|detok|trunc|spec|draft|predict|dynatemp|quadratic|smooth|cutoff|watermark',
    // the text before
    'prompt|prefix|suffix|prefill|echo|contin|generat|system|instruct|template|chat|message|role|history|conversation',
    // manner
    'think|reason|effort|budget|verbos|style|persona|character|language|translat|moderat|safe|filter|guard',
    // which model, and how exactly
    'model|engine|lora|adapter|expert|quant|precision|dtype|bit|normal|pool|chunk|dimension|embed|task|input|output|query|passage|type',
    // bags of any of these
    'extra|option|param|config|setting|override|transform|decod|mode|stream|return|include',
  ].join('|')})`,
)

/** JSON Schema shows by its own words. */
const SCHEMA_WORDS = [
  'properties',
  '$schema',
  'anyOf',
  'oneOf',
  'allOf',
  'patternProperties',
  '$defs',
]

const NARROWING_NAMES = Object.keys(ResidencyFields)
/** How deep, and how many values, an unknown member is looked through. */
const DEEPEST = 8
const MOST_VALUES = 1_000

export interface OpenBody<T> {
  readonly request: T
  /** Names of the members that had no effect. */
  readonly ignored: readonly string[]
}

interface Judged {
  /** Members that are known and not taken. */
  readonly refusals?: Refusals
  /** Faults that were found before, to be told in the same answer. */
  readonly faults?: readonly FieldFault[]
}

/** @throws {AppError} invalid_request with a pointer to each fault */
export function parseOpenBody<T>(
  schema: z.ZodType<T> & { readonly shape: object },
  body: unknown,
  { refusals = {}, faults = [] }: Judged = {},
): OpenBody<T> {
  const known = [...Object.keys(schema.shape), ...Object.keys(refusals)]
  const unknown = isRecord(body)
    ? Object.entries(body).filter(([name, value]) => !known.includes(name) && value !== null)
    : []
  const unknownFaults = unknown.flatMap(([name, value]) => {
    const detail = whyRefused(name, value, known)
    return detail === undefined ? [] : [{ pointer: toPointer([name]), detail }]
  })
  const refused = [...refusedParameters(body, refusals), ...faults, ...unknownFaults]
  if (refused.length > 0) throw invalidRequest(refused)
  return { request: parseBody(schema, body), ignored: unknown.map(([name]) => name) }
}

function whyRefused(name: string, value: unknown, known: readonly string[]): string | undefined {
  const near = nearestName(name, known)
  if (near !== undefined) return notKnown(near)
  const words = wordsOf(name)
  if (words.some((word) => NARROWING.test(word)))
    return 'is not known here, and reads as if it narrowed where the job may run; "policy" and "residency" do'
  if (isNothing(value)) return undefined
  if (words.some((word) => STEERING.test(word)))
    return 'is not known here, and reads as if it changed the answer; it would be dropped'
  return refusedInside(value)
}

/** What a value shows, whatever it is called. */
function refusedInside(value: unknown): string | undefined {
  let left = MOST_VALUES
  const look = (each: unknown, depth: number): string | undefined => {
    left -= 1
    if (typeof each !== 'object' || each === null) return undefined
    if (depth > DEEPEST || left < 0) return 'is not known here, and is too large to be passed over'
    if (!Array.isArray(each)) {
      if (SCHEMA_WORDS.some((word) => Object.hasOwn(each, word)))
        return 'is not known here, and has a JSON schema in it; "response_format" takes one'
      const narrowing = Object.keys(each).find((name) => nearestName(name, NARROWING_NAMES))
      if (narrowing !== undefined)
        return `has "${narrowing}" in it, which would have no effect there; write it beside "model"`
    }
    for (const inner of Object.values(each)) {
      const why = look(inner, depth + 1)
      if (why !== undefined) return why
    }
    return undefined
  }
  return look(value, 0)
}

function isRecord(value: unknown): value is Readonly<Record<string, unknown>> {
  return typeof value === 'object' && value !== null && !Array.isArray(value)
}
