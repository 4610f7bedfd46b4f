/**
 * Names of headers and of the query. One that starts as ours do, or that was meant to be one of ours, and that no route
 * reads, is refused: a narrowing that is misspelt must not be dropped.
 */
import type { Handler } from 'hono'
import { createMiddleware } from 'hono/factory'
import { matchedRoutes } from 'hono/route'
import type { FieldFault } from '#shared/base/errors.ts'
import { memoize } from '#shared/base/memoize.ts'
import { Policy } from '#shared/law/policy.ts'
import type { AppContext, AppEnv } from '#worker/gate/context.ts'
import { invalidRequest, toPointer } from '#worker/body/faults.ts'
import { nearestName, notKnown, plainName, wordsOf } from '#worker/body/near-names.ts'

/** Set at build time: a build for production reads no made-up place, and so knows none of these names. */
declare const __SIMULATED_PLACES__: boolean

/** Every header of ours that a request may have. */
const OUR_HEADERS = [
  'x-littoral-policy',
  'x-littoral-residency',
  'x-littoral-deadline-ms',
  // Of the operator's own proxy.
  'x-littoral-proxy-secret',
  'x-littoral-country',
  'x-littoral-asn',
  'x-littoral-tcp-rtt-us',
  'x-littoral-ingress-country',
]

/** What a development build reads besides. */
const simulatedHeaders = () =>
  __SIMULATED_PLACES__ ? ['x-littoral-simulated-place', 'x-littoral-simulated-ingress'] : []

/** How ours are written by whoever forgets that they are headers of ours. */
const MEANT: readonly (readonly [RegExp, string])[] = [
  [/^(?:residen|sovereign|jurisdict|regions$|countries$)/, 'x-littoral-residency'],
  [/^polic/, 'x-littoral-policy'],
  [/^deadline/, 'x-littoral-deadline-ms'],
  [/^idempoten/, 'idempotency-key'],
]
const NARROWING_HEADERS = ['policy', 'residency', 'x-policy', 'x-residency']

/** Headers of browsers and their standards, which have such words: https://www.iana.org/assignments/http-fields */
const STANDARD =
  /^(?:referrer-policy|(?:permissions|feature|document|content-security|cross-origin-[a-z]+|integrity|sec-required-document|sec-required-csp)-policy(?:-report-only)?|x-permitted-cross-domain-policies|idempotency-key)$/

/** Members of a policy of two words or more: no stranger's header has them by chance. */
const POLICY_PARTS = Object.keys(Policy.shape)
  .filter((name) => wordsOf(name).length > 1)
  .map(plainName)

/** What a development build reads of any query. */
const simulatedNames = () =>
  __SIMULATED_PLACES__ ? ['simulated_place', 'simulated_asn', 'simulated_rtt'] : []

const NAMES_REMEMBERED = 1_024

/** What is wrong with a header's name; an empty text for nothing. Requests have the same few names again and again. */
const headerFault = memoize((name) => {
  const known = [...OUR_HEADERS, ...simulatedHeaders()]
  if (known.includes(name)) return ''
  const isOurs =
    plainName(name).startsWith('xlittoral') ||
    wordsOf(name).some((word) => nearestName(word, ['littoral']) !== undefined)
  const near = nearestName(name, known)
  if (isOurs || near !== undefined) return notKnown(near)
  if (STANDARD.test(name)) return ''
  const meant = meantHeader(name)
  return meant === undefined ? '' : notKnown(meant)
}, NAMES_REMEMBERED)

/** The header of ours that a name speaks of. */
function meantHeader(name: string): string | undefined {
  const words = wordsOf(name)
  const [, meant] = MEANT.find(([word]) => words.some((each) => word.test(each))) ?? []
  if (meant !== undefined) return meant
  if (/^(?:x-)?region$/.test(name)) return 'x-littoral-residency'
  const near = nearestName(name, NARROWING_HEADERS)
  if (near !== undefined) return `x-littoral-${near.endsWith('policy') ? 'policy' : 'residency'}`
  const isOfPolicy = POLICY_PARTS.some((part) => plainName(name).includes(part))
  return isOfPolicy ? 'x-littoral-policy' : undefined
}

const takers = new WeakMap<object, readonly string[]>()

/** Says in a route's chain which names its query may have: `.get(path, takesQuery('after', 'limit'), handler)`. */
export function takesQuery(...names: readonly string[]) {
  const taker = createMiddleware<AppEnv>((_, next) => next())
  takers.set(taker, names)
  return taker
}

/** The names that one link of a route's chain declares. */
export function queryNames(handler: Handler | object): readonly string[] {
  return takers.get(handler) ?? []
}

/** A switch in the query. @throws {AppError} invalid_request for a value that is neither word */
export function isAsked(c: AppContext, name: string): boolean {
  const value = c.req.query(name) ?? 'false'
  if (value === 'true' || value === 'false') return value === 'true'
  throw invalidRequest([{ pointer: toPointer(['query', name]), detail: 'must be true or false' }])
}

export const knownHeaders = createMiddleware<AppEnv>(async (c, next) => {
  const faults: FieldFault[] = []
  for (const [name] of c.req.raw.headers) {
    const detail = headerFault(name)
    if (detail !== '') faults.push({ pointer: toPointer(['headers', name]), detail })
  }
  if (faults.length > 0) throw invalidRequest(faults)
  await next()
})

export const knownQuery = createMiddleware<AppEnv>(async (c, next) => {
  const given = Object.keys(c.req.query())
  if (given.length > 0) refuseQuery(c, given)
  await next()
})

/** @throws {AppError} invalid_request for a name that the route does not read, or one without one value; a path without a route is its own fault */
function refuseQuery(c: AppContext, given: readonly string[]): void {
  const routes = matchedRoutes(c).filter(({ method }) => method !== 'ALL')
  if (routes.length === 0) return
  const known = routes.flatMap(({ handler }) => queryNames(handler))
  const faults = given.flatMap((name) => {
    const isKnown = known.includes(name) || simulatedNames().includes(name)
    const detail = isKnown ? valueFault(c, name) : notInQuery(name, known)
    return detail === undefined ? [] : [{ pointer: toPointer(['query', name]), detail }]
  })
  if (faults.length > 0) throw invalidRequest(faults)
}

/** An empty number would read as 0, and of two values one would be dropped. */
function valueFault(c: AppContext, name: string): string | undefined {
  const values = c.req.queries(name) ?? []
  if (values.length > 1) return 'is there twice; write it once'
  return values[0] === '' ? 'has no value' : undefined
}

function notInQuery(name: string, known: readonly string[]): string {
  const near = nearestName(name, known)
  if (near !== undefined) return notKnown(near)
  const names = known.length === 0 ? 'it takes none' : `it takes ${known.join(', ')}`
  return `is not known in the query of this route; ${names}`
}
