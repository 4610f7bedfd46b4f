/** A tenant's policies. Published versions never change; the newest counts until the policy is retired. */
import { AppError } from '#shared/base/errors.ts'
import { compilePolicy } from '#shared/law/compile-policy.ts'
import { Policy } from '#shared/law/policy.ts'
import { DEFAULT_POLICY } from '#shared/law/policy-draft.ts'
import type { Row } from '#worker/platform/storage.ts'
import type { TenantDatabase, TenantDeps } from '#worker/tenant/log/database.ts'
import type { PublishedPolicy, TenantPolicies, TenantSnapshot } from '#worker/protocols/tenant.ts'

/** Policies of one tenant that accept jobs. */
const TENANT_POLICIES = 100
/** Policies of one tenant that no longer accept jobs. */
const TENANT_POLICIES_RETIRED = 400
/** Newest versions of a policy in a list. Older ones can be requested by number. */
const POLICY_VERSIONS_LISTED = 200

export interface PolicyStore extends TenantPolicies {
  defaultId(): string
  /** The newest version of each policy that takes jobs. */
  live(): PublishedPolicy[]
  retired(): TenantSnapshot['retiredPolicies']
}

const ALL = 'SELECT p.*, retired_at_ms FROM policies AS p LEFT JOIN retired_policies USING (id)'
const NEWEST = `${ALL} WHERE version = (SELECT max(version) FROM policies WHERE id = p.id)`

export function createPolicyStore(database: TenantDatabase, deps: TenantDeps): PolicyStore {
  const { rows, write } = database
  const published = (row: Row): PublishedPolicy => readPublished(row, database)
  const find = (id: string) => rows(`${NEWEST} AND p.id = ?`, id).map(published)[0]
  const known = (id: string): PublishedPolicy => {
    const policy = find(id)
    if (policy === undefined) throw new AppError('not_found', `There is no policy ${id}.`)
    return policy
  }
  const about = ({ compiled }: PublishedPolicy, by: string | undefined) => ({
    policyHash: compiled.hash,
    ...(by === undefined ? {} : { by }),
  })
  const defaultId = () => database.setting('default_policy') ?? DEFAULT_POLICY.id
  const live = () => rows(`${NEWEST} AND retired_at_ms IS NULL ORDER BY p.id`).map(published)
  return {
    publish(input, by) {
      const policy = Policy.parse(input)
      const previous = find(policy.id)
      if (previous !== undefined) requireLive(previous)
      if (previous && JSON.stringify(previous.policy) === JSON.stringify(policy)) return previous
      if (previous === undefined) requireRoom(live().length, TENANT_POLICIES)
      const version = (previous?.compiled.version ?? 0) + 1
      const publishedAtMs = deps.nowMs()
      const compiled = compilePolicy(policy, { tenant: database.tenant(), version })
      const next = { policy, compiled, publishedAtMs, retiredAtMs: null }
      const keep = () =>
        rows(
          'INSERT INTO policies (id, version, policy, published_at_ms) VALUES (?, ?, ?, ?)',
          policy.id,
          version,
          JSON.stringify(policy),
          publishedAtMs,
        )
      write('policy.published', `${policy.id}@${version}`, keep, about(next, by))
      return next
    },
    retire(id, by) {
      const policy = known(id)
      if (policy.retiredAtMs !== null) return policy
      if (id === defaultId()) {
        throw refusal(`${id} is the default policy: make another the default, then retire it`)
      }
      const retired = database.number('SELECT count(*) FROM retired_policies') ?? 0
      requireRoom(retired, TENANT_POLICIES_RETIRED)
      const retiredAtMs = deps.nowMs()
      const keep = () =>
        rows('INSERT INTO retired_policies (id, retired_at_ms) VALUES (?, ?)', id, retiredAtMs)
      write('policy.retired', id, keep, about(policy, by))
      return { ...policy, retiredAtMs }
    },
    setDefault(id, by) {
      const policy = known(id)
      requireLive(policy)
      write('policy.default_set', id, () => database.set('default_policy', id), about(policy, by))
    },
    defaultId,
    all: () => rows(`${NEWEST} ORDER BY p.id`).map(published),
    live,
    retired: () =>
      rows('SELECT * FROM retired_policies ORDER BY id').map((row) => ({
        id: String(row['id']),
        retiredAtMs: Number(row['retired_at_ms']),
      })),
    version: (id, version) =>
      rows(`${ALL} WHERE p.id = ? AND version = ?`, id, version).map(published)[0] ?? null,
    versions: (id) =>
      rows(`${ALL} WHERE p.id = ? ORDER BY version DESC LIMIT ?`, id, POLICY_VERSIONS_LISTED).map(
        published,
      ),
  }
}

function readPublished(row: Row, database: TenantDatabase): PublishedPolicy {
  const policy = Policy.parse(JSON.parse(String(row['policy'])))
  const at = { tenant: database.tenant(), version: Number(row['version']) }
  const { retired_at_ms: retiredAtMs } = row
  return {
    policy,
    compiled: compilePolicy(policy, at),
    publishedAtMs: Number(row['published_at_ms']),
    retiredAtMs: retiredAtMs === null ? null : Number(retiredAtMs),
  }
}

/** A retired id is never used again. @throws {AppError} invalid_request */
function requireLive({ policy: { id }, retiredAtMs }: PublishedPolicy): void {
  if (retiredAtMs === null) return
  const day = new Date(retiredAtMs).toISOString().slice(0, 10)
  throw refusal(`${id} was retired on ${day}: publish a policy of another name`)
}

function requireRoom(count: number, bound: number): void {
  if (count < bound) return
  throw new AppError(
    'too_large',
    `A tenant has at most ${TENANT_POLICIES} policies, and ${TENANT_POLICIES_RETIRED} retired ones.`,
  )
}

function refusal(detail: string): AppError {
  return new AppError('invalid_request', `${detail}.`, {
    meta: { errors: [{ pointer: '/id', detail }] },
  })
}
