/** A tenant's policies: each published version is kept as it was, and the newest one counts. */
import { AppError } from '#shared/errors.ts'
import { LIMITS } from '#shared/limits.ts'
import { compilePolicy } from '#shared/compile-policy.ts'
import { DEFAULT_POLICY, Policy } from '#shared/policy.ts'
import type { Row } from '../storage.ts'
import type { TenantDatabase, TenantDeps } from './database.ts'
import type { PublishedPolicy } from './protocol.ts'

export interface PolicyStore {
  /** The next version; the same content again is the same version. */
  publish(policy: Policy, by?: string): PublishedPolicy
  setDefault(id: string, by?: string): void
  defaultId(): string
  /** The newest version of each, by id. */
  newest(): PublishedPolicy[]
  /** Undefined for a version that was never published. */
  version(id: string, version: number): PublishedPolicy | undefined
  /** All of one policy, newest first; empty for a policy that there is not. */
  versions(id: string): PublishedPolicy[]
}

const NEWEST = `SELECT * FROM policies AS p
  WHERE version = (SELECT max(version) FROM policies WHERE id = p.id)`

export function createPolicyStore(database: TenantDatabase, deps: TenantDeps): PolicyStore {
  const { rows, write } = database
  const published = (row: Row): PublishedPolicy => {
    const policy = Policy.parse(JSON.parse(String(row['policy'])))
    const at = { tenant: database.tenant(), version: Number(row['version']) }
    return {
      policy,
      compiled: compilePolicy(policy, at),
      publishedAtMs: Number(row['published_at_ms']),
    }
  }
  const find = (id: string) => rows(`${NEWEST} AND id = ?`, id).map(published)[0]
  return {
    publish(input, by) {
      const policy = Policy.parse(input)
      const previous = find(policy.id)
      if (previous && JSON.stringify(previous.policy) === JSON.stringify(policy)) return previous
      const [count] = rows('SELECT count(DISTINCT id) AS policies FROM policies')
      if (previous === undefined && Number(count?.['policies']) >= LIMITS.tenantPolicies) {
        throw new AppError('too_large', `A tenant has at most ${LIMITS.tenantPolicies} policies.`)
      }
      const version = (previous?.compiled.version ?? 0) + 1
      const publishedAtMs = deps.nowMs()
      const compiled = compilePolicy(policy, { tenant: database.tenant(), version })
      const keep = () =>
        rows(
          'INSERT INTO policies (id, version, policy, published_at_ms) VALUES (?, ?, ?, ?)',
          policy.id,
          version,
          JSON.stringify(policy),
          publishedAtMs,
        )
      write('policy.published', `${policy.id}@${version}`, keep, {
        policyHash: compiled.hash,
        ...(by === undefined ? {} : { by }),
      })
      return { policy, compiled, publishedAtMs }
    },
    setDefault(id, by) {
      const policy = find(id)
      if (policy === undefined) throw new AppError('not_found', `There is no policy ${id}.`)
      write('policy.default_set', id, () => database.set('default_policy', id), {
        policyHash: policy.compiled.hash,
        ...(by === undefined ? {} : { by }),
      })
    },
    defaultId: () => database.setting('default_policy') ?? DEFAULT_POLICY.id,
    newest: () => rows(`${NEWEST} ORDER BY id`).map(published),
    version: (id, version) =>
      rows('SELECT * FROM policies WHERE id = ? AND version = ?', id, version).map(published)[0],
    versions: (id) =>
      rows(
        'SELECT * FROM policies WHERE id = ? ORDER BY version DESC LIMIT ?',
        id,
        LIMITS.policyVersionsListed,
      ).map(published),
  }
}
