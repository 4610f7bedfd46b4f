/** Chooses a request's policy from key and headers before the body is read; the body narrows it. */
import { AppError } from '#shared/base/errors.ts'
import { effectiveCompute } from '#shared/law/compile-policy.ts'
import { decideIngress } from '#shared/law/decide.ts'
import type { CompiledPolicy } from '#shared/law/policy.ts'
import { nameCountries } from '#shared/law/country-words.ts'
import { neededIngress } from '#shared/law/explain.ts'
import { countryCode, intersect, isRegion, type CountrySet } from '#shared/law/region.ts'
import { callerOf, type AppContext, type Caller } from './context.ts'
import { invalidAt } from '#worker/body/faults.ts'
import type { ResidencyChoice } from '#worker/body/residency.ts'
import { observeIngress } from '#worker/edge/place.ts'

/** Refuses a request whose ingress country the policy forbids, before the body is read. */
export async function checkIngress(c: AppContext): Promise<void> {
  const { snapshot } = callerOf(c)
  await admitIngress(c, findPolicy(callerOf(c), headerPolicy(c) ?? snapshot.defaultPolicyId))
  headerRegions(c)
}

export interface Residency {
  readonly policy: CompiledPolicy
  /** The policy's compute set, narrowed by header and body. */
  readonly allowed: CountrySet
}

/**
 * The policy and compute set of one job. A policy named only in the body must also allow the
 * ingress.
 * @throws {AppError} invalid_request, residency_ingress_denied, residency_unsatisfiable when
 * nothing is left
 */
export async function chooseResidency(c: AppContext, body: ResidencyChoice): Promise<Residency> {
  const named = headerPolicy(c)
  if (named !== undefined && body.policy !== undefined && named !== body.policy) {
    throw invalidAt('/policy', `is ${body.policy}, the header says ${named}`)
  }
  if (named === undefined && body.policy !== undefined) {
    await admitIngress(c, findPolicy(callerOf(c), body.policy))
  }
  const policy = c.get('policy')
  if (policy === undefined) throw new AppError('internal', 'No policy was chosen.')
  const allowed = intersect(
    effectiveCompute(policy, headerRegions(c)),
    effectiveCompute(policy, body.residency?.allow),
  )
  if (BigInt(allowed) === 0n) {
    const needed = `a narrowing that leaves one of ${nameCountries(policy.compute)}`
    throw new AppError(
      'residency_unsatisfiable',
      `Policy ${policy.id} and the request have no country in common (compute.allow): it needs ${needed}.`,
      { meta: { rule: 'compute.allow', needed } },
    )
  }
  return { policy, allowed }
}

/** Checks the ingress against one of the caller's policies. @throws {AppError} residency_ingress_denied */
export async function admitPolicy(c: AppContext, id: string): Promise<void> {
  await admitIngress(c, findPolicy(callerOf(c), id))
}

async function admitIngress(c: AppContext, policy: CompiledPolicy): Promise<void> {
  c.set('policy', policy)
  const ingress = await observeIngress(c.req.raw, c.get('config'))
  const rule = decideIngress(policy, ingress.country)
  if (rule === 'allow') return
  const needed = neededIngress(policy)
  throw new AppError(
    'residency_ingress_denied',
    `The request entered in ${countryCode(ingress.country)}, which policy ${policy.id} does not allow (${rule}): it needs ${needed}.`,
    { meta: { rule, needed } },
  )
}

/** The newest active version of one of the caller's policies. @throws {AppError} invalid_request */
export function findPolicy({ snapshot }: Caller, id: string): CompiledPolicy {
  const published = snapshot.policies.find(({ policy }) => policy.id === id)
  if (published !== undefined) return published.compiled
  const retired = snapshot.retiredPolicies.find((policy) => policy.id === id)
  const what =
    retired === undefined
      ? `no policy "${id}"`
      : `policy "${id}" was retired on ${new Date(retired.retiredAtMs).toISOString()} and accepts no new jobs`
  const known = snapshot.policies.map(({ policy }) => policy.id).join(', ')
  throw invalidAt('/policy', `${what}; there are ${known}`)
}

function headerPolicy(c: AppContext): string | undefined {
  return c.req.header('x-littoral-policy')
}

/**
 * Parses `x-littoral-residency: EU,CH`. A repeated header (gateway and client) arrives as one list
 * with a space. The union would be wider than either header, so such a list is refused.
 */
function headerRegions(c: AppContext): string[] | undefined {
  const header = c.req.header('x-littoral-residency')
  if (header === undefined) return undefined
  const fault = (detail: string) => invalidAt('/headers/x-littoral-residency', detail)
  if (/\s/.test(header.trim())) {
    throw fault('appears twice or contains a space; write it once, without spaces: EU,CH')
  }
  const regions = header.trim().split(',')
  const unknown = regions.find((region) => !isRegion(region))
  if (unknown === undefined) return regions
  throw fault(`"${unknown.slice(0, 64)}" is not a region`)
}
