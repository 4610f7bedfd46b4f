/** Decides whether a batch may go on. Its key must be live, and its policy version and the newest must hold. Pure. */
import type { Bytes32 } from '#shared/base/ids.ts'
import {
  DATA_CLASSES,
  EVIDENCE_CLASSES,
  NODE_TRUSTS,
  VERIFICATION_LEVELS,
  type CompiledPolicy,
} from '#shared/law/policy.ts'
import { countryCode, hasCountry, intersect } from '#shared/law/region.ts'
import { batchJurisdiction, type BatchSpec, type Fault } from '#worker/protocols/batch.ts'

/** The part of a tenant's present state that a batch asks for. */
export interface TenantWord {
  readonly keys: readonly { readonly id: string; readonly scopes: readonly string[] }[]
  /** The newest version of each policy. */
  readonly policies: readonly { readonly compiled: CompiledPolicy }[]
}

/** The published policy version that items are dispatched under, and the countries left by the narrowing. */
export interface Grant {
  readonly policy: CompiledPolicy
  readonly allowed: Bytes32
  /** Countries from which results may be read. */
  readonly ingress: Bytes32
}

export type AuthorityVerdict =
  | { readonly kind: 'go'; readonly grant: Grant }
  | { readonly kind: 'stop'; readonly fault: Fault }

type Judged = Pick<BatchSpec, 'id' | 'keyId' | 'ingress' | 'policy' | 'allowed'>

/** @param word null when the tenant does not exist any more */
export function judgeAuthority(spec: Judged, word: TenantWord | null): AuthorityVerdict {
  const key = word?.keys.find(({ id }) => id === spec.keyId)
  if (word === null || !key?.scopes.includes('infer')) {
    const detail = `Key ${spec.keyId}, which sent this batch, was revoked: send the rest with another.`
    return stop({ code: 'unauthenticated', detail })
  }
  const then = spec.policy
  const now = word.policies.find(({ compiled }) => compiled.id === then.id)?.compiled
  if (now === undefined)
    return stop(unsatisfiable(then, 'is not published any more: send the rest under another'))
  if (!hasCountry(now.ingress, spec.ingress)) {
    const detail = `Policy ${then.id} no longer allows requests from ${countryCode(spec.ingress)}, where this batch entered.`
    return stop({ code: 'residency_ingress_denied', detail })
  }
  const allowed = intersect(spec.allowed, now.compute)
  if (BigInt(allowed) === 0n)
    return stop(unsatisfiable(now, `leaves none of the countries that this batch may run in`))
  const policy = stricter(spec, now)
  if (policy === undefined) {
    const what = `is stricter than version ${then.version} in one thing and wider in another: send the rest again`
    return stop(unsatisfiable(now, what))
  }
  return { kind: 'go', grant: { policy, allowed, ingress: intersect(then.ingress, now.ingress) } }
}

function stop(fault: Fault): AuthorityVerdict {
  return { kind: 'stop', fault }
}

function unsatisfiable({ id, version }: CompiledPolicy, what: string): Fault {
  return { code: 'residency_unsatisfiable', detail: `Policy ${id}@${version} ${what}.` }
}

/** Compares `now` with `then`: 1 is stricter, -1 is wider, NaN is neither. */
type Compare = (now: CompiledPolicy, then: CompiledPolicy, spec: Judged) => number

/** Every field, except the identity of the policy and the country sets, which are intersected. */
const FIELDS: Readonly<
  Record<
    Exclude<
      keyof CompiledPolicy,
      'tenant' | 'id' | 'version' | 'hash' | 'compute' | 'ingress' | 'regions'
    >,
    Compare
  >
> = {
  minEvidence: (now, then) => ranked(EVIDENCE_CLASSES, now.minEvidence, then.minEvidence),
  dataClass: (now, then) => ranked(DATA_CLASSES, now.dataClass, then.dataClass),
  personalOnPublicNodes: (now, then) =>
    Number(then.personalOnPublicNodes) - Number(now.personalOnPublicNodes),
  nodeTrust: (now, then) => ranked(NODE_TRUSTS, now.nodeTrust, then.nodeTrust),
  verification: (now, then) => ranked(VERIFICATION_LEVELS, now.verification, then.verification),
  // Fewer vouchers are stricter. If each list has one that the other lacks, neither is.
  vouchers(now, then) {
    const lacks = (a: readonly string[], b: readonly string[]) =>
      !a.includes('anyone') && b.some((name) => !a.includes(name))
    const [narrower, wider] = [
      lacks(now.vouchers, then.vouchers),
      lacks(then.vouchers, now.vouchers),
    ]
    return narrower && wider ? Number.NaN : Number(narrower) - Number(wider)
  },
  network: (now, then) => named(now.network, then.network, null),
  retentionDays: (now, then) => Math.sign(then.retentionDays - now.retentionDays),
  // Stored data cannot move: it must already be where the newer version wants it.
  storage(now, then, { id }) {
    const sign = named(now.storage, then.storage, 'any')
    return sign === 1 && batchJurisdiction(id) !== now.storage ? Number.NaN : sign
  },
}

/** @param order from wide to strict */
function ranked<T>(order: readonly T[], now: T, then: T): number {
  return Math.sign(order.indexOf(now) - order.indexOf(then))
}

function named<T>(now: T, then: T, none: T): number {
  if (now === then) return 0
  if (then === none) return 1
  return now === none ? -1 : Number.NaN
}

/** The version that is at least as strict in every field; undefined when neither is. */
function stricter(spec: Judged, now: CompiledPolicy): CompiledPolicy | undefined {
  const then = spec.policy
  const signs = Object.values(FIELDS).map((compare) => compare(now, then, spec))
  if (signs.some(Number.isNaN)) return undefined
  if (signs.every((sign) => sign <= 0)) return then
  return signs.every((sign) => sign >= 0) ? now : undefined
}
