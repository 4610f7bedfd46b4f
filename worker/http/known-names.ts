/** Refuses unknown headers and query members that look like ours, because a misspelt narrowing must not be dropped. */
import type { Handler } from 'hono'
import { createMiddleware } from 'hono/factory'
import { matchedRoutes } from 'hono/route'
import type { FieldFault } from '#shared/base/errors.ts'
import { memoize } from '#shared/base/memoize.ts'
import { Policy } from '#shared/law/policy.ts'
import type { AppContext, AppEnv } from '#worker/gate/context.ts'
import { invalidAt, invalidRequest, toPointer } from '#worker/body/faults.ts'
import { nearestName, notKnown, plainName, wordsOf } from '#worker/body/near-names.ts'

/** Set at build time: production builds read no simulated place, so they do not know these names. */
declare const __SIMULATED_PLACES__: boolean

/** All our request headers. */
const OUR_HEADERS = [
  'x-littoral-policy',
  'x-littoral-residency',
  'x-littoral-deadline-ms',
  // Set by the operator's proxy.
  'x-littoral-proxy-secret',
  'x-littoral-country',
  'x-littoral-asn',
  'x-littoral-tcp-rtt-us',
  'x-littoral-ingress-country',
]

const simulatedHeaders = () =>
  __SIMULATED_PLACES__ ? ['x-littoral-simulated-place', 'x-littoral-simulated-ingress'] : []

/** Our headers written without their prefix. */
const MEANT: readonly (readonly [RegExp, string])[] = [
  [/^(?:residen|sovereign|jurisdict|regions$|countries$)/, 'x-littoral-residency'],
  [/^polic/, 'x-littoral-policy'],
  [/^deadline/, 'x-littoral-deadline-ms'],
  [/^idempoten/, 'idempotency-key'],
]
const NARROWING_HEADERS = ['policy', 'residency', 'x-policy', 'x-residency']

/** Standard headers that contain such words: https://www.iana.org/assignments/http-fields */
const STANDARD =
  /^(?:referrer-policy|(?:permissions|feature|document|content-security|cross-origin-[a-z]+|integrity|sec-required-document|sec-required-csp)-policy(?:-report-only)?|x-permitted-cross-domain-policies|idempotency-key)$/

/** Policy members of two or more words; foreign headers do not have them by chance. */
const POLICY_PARTS = Object.keys(Policy.shape)
  .filter((name) => wordsOf(name).length > 1)
  .map(plainName)

/** Query members that a development build accepts on every route. */
const simulatedNames = () =>
  __SIMULATED_PLACES__ ? ['simulated_place', 'simulated_asn', 'simulated_rtt'] : []

const NAMES_REMEMBERED = 1_024

/** Finds the fault of a header's name; empty for none. Memoized, because few names recur often. */
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

/** The header of ours that a name probably means. */
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

/** Declares the query names of a route: `.get(path, takesQuery('after', 'limit'), handler)`. */
export function takesQuery(...names: readonly string[]) {
  const taker = createMiddleware<AppEnv>((_, next) => next())
  takers.set(taker, names)
  return taker
}

export function queryNames(handler: Handler | object): readonly string[] {
  return takers.get(handler) ?? []
}

/** Reads a boolean query member. @throws {AppError} invalid_request unless it is true or false */
export function isAsked(c: AppContext, name: string): boolean {
  const value = c.req.query(name) ?? 'false'
  if (value === 'true' || value === 'false') return value === 'true'
  throw invalidAt(toPointer(['query', name]), 'must be true or false')
}

/** @throws {AppError} invalid_request for an unknown header that looks like ours */
export function checkHeaders(c: AppContext): void {
  const faults: FieldFault[] = []
  for (const name of c.req.raw.headers.keys()) {
    const detail = headerFault(name)
    if (detail !== '') faults.push({ pointer: toPointer(['headers', name]), detail })
  }
  if (faults.length > 0) throw invalidRequest(faults)
}

/** @throws {AppError} invalid_request for a query member that the route does not take */
export function checkQuery(c: AppContext): void {
  if (!c.req.url.includes('?')) return
  const given = Object.keys(c.req.query())
  if (given.length > 0) refuseQuery(c, given)
}

/**
 * @throws {AppError} invalid_request for an unknown name, or one without exactly one value; unknown
 * paths are not judged
 */
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

/** An empty number would parse as 0, and of two values one would be dropped. */
function valueFault(c: AppContext, name: string): string | undefined {
  const values = c.req.queries(name) ?? []
  if (values.length > 1) return 'appears twice; write it once'
  return values[0] === '' ? 'has no value' : undefined
}

function notInQuery(name: string, known: readonly string[]): string {
  const near = nearestName(name, known)
  if (near !== undefined) return notKnown(near)
  const names = known.length === 0 ? 'it takes none' : `it takes ${known.join(', ')}`
  return `is unknown in the query of this route; ${names}`
}
