/** A Tenant's core over real SQLite. */
import { describe, expect, it } from 'vitest'
import { randomBytes, TenantId } from '#shared/base/ids.ts'
import { DEFAULT_POLICY } from '#shared/law/policy-draft.ts'
import { createReceiptMaker, groupOf } from '#test/support/hub/receipts.ts'
import { codeOf } from '#test/support/storage/code-of.ts'
import { createSqliteStorage } from '#test/support/sqlite-storage.ts'
import { hashKey, keyIdTenant, keyTenant } from '#worker/protocols/api-key.ts'
import { createTenantCore } from '#worker/tenant/core.ts'
import { asPolicy } from '#test/support/hub/as-policy.ts'
import { TENANT_KEYS } from '#worker/tenant/keys/key-store.ts'

const acme = TenantId.parse('acme')

function createTenant() {
  const storage = createSqliteStorage()
  let nowMs = 1_000
  const core = createTenantCore({ storage, nowMs: () => (nowMs += 1), random: randomBytes })
  return { core, storage }
}

/** A tenant with one key. */
async function openTenant(scope: 'infer' | 'policy' | 'admin') {
  const { core, storage } = createTenant()
  return { core, storage, ...(await core.keys.create({ tenant: acme, scopes: [scope] })) }
}

const policy = (id: string, regions: string[]) => asPolicy({ id, compute: { allow: regions } })

describe('a tenant that does not exist', () => {
  it('has no snapshot, receipts or policies, and calls leave no trace', () => {
    const { core, storage } = createTenant()
    expect(core.snapshot()).toBeNull()
    expect(core.receipts.find(`0x${'1'.repeat(64)}`)).toBeNull()
    expect(codeOf(() => core.policies.publish(policy('x', ['DE'])))).toBe('not_found')
    expect(storage.sql.exec('SELECT name FROM sqlite_master').toArray()).toEqual([])
  })
})

describe('keys', () => {
  it('are kept as hashes only', async () => {
    const { core, storage, key, id } = await openTenant('infer')
    expect(key).toMatch(/^lit_acme_[0-9a-f]{32}$/)
    expect(keyTenant(key)).toBe(acme)
    expect(keyIdTenant(id)).toBe(acme)
    expect(core.snapshot()?.keys).toEqual([
      { id, hash: await hashKey(key), scopes: ['infer'], networks: [], untilMs: null },
    ])
    const everything = ['settings', 'keys', 'policies', 'receipts', 'audit_log'].map((table) =>
      storage.sql.exec(`SELECT * FROM ${table}`).toArray(),
    )
    expect(JSON.stringify(everything)).not.toContain(key.slice(-32))
  })

  it('have a name, an expiry and a last use', async () => {
    const storage = createSqliteStorage()
    const clock = { nowMs: 1_000 }
    const core = createTenantCore({ storage, nowMs: () => clock.nowMs, random: randomBytes })
    const asked = { tenant: acme, scopes: ['admin' as const], name: 'Sensor 7', expiresAtMs: 5_000 }
    const { id } = await core.keys.create(asked)
    expect(core.keys.list()).toMatchObject([
      { id, name: 'Sensor 7', expiresAtMs: 5_000, lastUsedAtMs: null },
    ])
    core.keys.noteUse(id, 900)
    core.keys.noteUse(id, 800)
    core.keys.noteUse(id, 9_000_000)
    expect(core.keys.list()).toMatchObject([{ lastUsedAtMs: 1_000 }])
    expect(core.snapshot()?.keys).toMatchObject([{ id, untilMs: 5_000 }])
    const rotated = await core.ownKeys.rotate({ by: id, id }, 60_000)
    expect(rotated).toMatchObject({ name: 'Sensor 7', expiresAtMs: 5_000, formerUntilMs: 5_000 })
    await expect(core.ownKeys.create(id, { scopes: ['admin'] })).rejects.toMatchObject({
      code: 'forbidden',
    })
    clock.nowMs = 5_000
    expect(core.snapshot()?.keys).toEqual([])
    expect(core.keys.list()).toMatchObject([{ id, revokedAtMs: null }])
    await expect(core.ownKeys.create(id, { scopes: ['admin'] })).rejects.toMatchObject({
      code: 'forbidden',
    })
    await expect(core.keys.create({ ...asked, expiresAtMs: 4_999 })).rejects.toMatchObject({
      code: 'invalid_request',
    })
  })

  it('do not count once revoked, but stay listed', async () => {
    const { core, id } = await openTenant('infer')
    const first = core.keys.revoke(id)
    expect(core.keys.revoke(id)).toEqual(first)
    expect(core.snapshot()?.keys).toEqual([])
    expect(core.keys.list()).toEqual([first])
    expect(codeOf(() => core.keys.revoke('key_acme_000000000000'))).toBe('not_found')
  })

  it('are bounded in number', async () => {
    const { core } = createTenant()
    for (let i = 0; i < TENANT_KEYS; i += 1) {
      await core.keys.create({ tenant: acme, scopes: ['infer'] })
    }
    const over = core.keys.create({ tenant: acme, scopes: ['infer'] })
    await expect(over).rejects.toMatchObject({ code: 'too_large' })
  })

  it('name the consumer, and the last one named pays', async () => {
    const { core } = await openTenant('infer')
    expect(core.snapshot()?.consumer).toBeNull()
    const consumer = `0x${'a'.repeat(40)}` as const
    await core.keys.create({ tenant: acme, scopes: ['infer'], consumer })
    await core.keys.create({ tenant: acme, scopes: ['infer'] })
    expect(core.snapshot()?.consumer).toBe(consumer)
  })
})

describe('receipts', () => {
  it('are kept as long as the policy says, whatever times the node claims', async () => {
    const { core, storage } = await openTenant('infer')
    const domain = { chainId: 1, verifyingContract: `0x${'11'.repeat(20)}` } as const
    const maker = await createReceiptMaker(domain)
    const past = await maker.make({ receipt: { startedAtMs: 0, finishedAtMs: 0 } })
    const future = await maker.make({ receipt: { finishedAtMs: Number.MAX_SAFE_INTEGER } })
    core.receipts.record(groupOf([{ receipt: past }, { receipt: future }]))
    const kept = storage.sql.exec('SELECT erase_at_ms AS at FROM receipts').toArray()
    const { ticket } = past.receipt
    const dueMs = ticket.issuedAtMs + past.policy.retentionDays * 86_400_000
    expect(kept.map((row) => row['at'])).toEqual([dueMs, dueMs])
  })
})

describe('policies', () => {
  it('begin with the strict default', async () => {
    const { core } = await openTenant('infer')
    const snapshot = core.snapshot()
    expect(snapshot?.defaultPolicyId).toBe('personal-eea')
    expect(snapshot?.policies.map((published) => published.policy)).toEqual([DEFAULT_POLICY])
    expect(snapshot?.policies[0]?.compiled).toMatchObject({ tenant: acme, version: 1 })
  })

  it('[A6] get a new version with every change; old versions never change', async () => {
    const { core, storage } = await openTenant('policy')
    const first = core.policies.publish(policy('pinned', ['DE']))
    expect(core.policies.publish(policy('pinned', ['DE']))).toEqual(first)
    const second = core.policies.publish(policy('pinned', ['DE', 'FR']))
    expect([first.compiled.version, second.compiled.version]).toEqual([1, 2])
    expect(second.compiled.hash).not.toBe(first.compiled.hash)
    const kept = storage.sql.exec("SELECT policy FROM policies WHERE id = 'pinned'").toArray()
    expect(kept.map((row) => JSON.parse(String(row['policy'])))).toEqual([
      first.policy,
      second.policy,
    ])
    expect(core.snapshot()?.policies.map(({ compiled }) => compiled)).toContainEqual(
      second.compiled,
    )
  })

  it('can be made the default once they exist', async () => {
    const { core } = await openTenant('policy')
    expect(codeOf(() => core.policies.setDefault('pinned'))).toBe('not_found')
    core.policies.publish(policy('pinned', ['DE']))
    core.policies.setDefault('pinned')
    expect(core.snapshot()?.defaultPolicyId).toBe('pinned')
  })

  it('take no jobs and no new version once retired, but stay readable', async () => {
    const { core, id: by } = await openTenant('policy')
    const published = core.policies.publish(policy('typo', ['DE']))
    expect(codeOf(() => core.policies.retire('personal-eea'))).toBe('invalid_request')
    expect(codeOf(() => core.policies.retire('nobody'))).toBe('not_found')
    const retired = core.policies.retire('typo', by)
    expect(core.policies.retire('typo')).toEqual(retired)
    const snapshot = core.snapshot()
    expect(snapshot?.policies.map((each) => each.policy.id)).toEqual(['personal-eea'])
    expect(snapshot?.retiredPolicies).toEqual([{ id: 'typo', retiredAtMs: retired.retiredAtMs }])
    expect(codeOf(() => core.policies.publish(policy('typo', ['FR'])))).toBe('invalid_request')
    expect(codeOf(() => core.policies.setDefault('typo'))).toBe('invalid_request')
    expect(core.policies.version('typo', 1)?.compiled).toEqual(published.compiled)
    expect(core.ropaFacts().policies.map((each) => each.retiredAtMs)).toEqual([
      null,
      retired.retiredAtMs,
    ])
  })

  it('leave a log entry with every change', async () => {
    const { core, storage, id } = await openTenant('policy')
    core.policies.publish(policy('pinned', ['DE']))
    core.policies.setDefault('pinned')
    core.keys.revoke(id)
    const query = "SELECT type, detail ->> '$.subject' AS subject FROM audit_log ORDER BY sequence"
    const events = storage.sql.exec(query).toArray()
    expect(events.map((row) => `${String(row['type'])} ${String(row['subject'])}`)).toEqual([
      'policy.published personal-eea@1',
      `key.created ${id}`,
      'policy.published pinned@1',
      'policy.default_set pinned',
      `key.revoked ${id}`,
    ])
  })
})

describe('[A7] a key that is revoked while it makes or rotates another', () => {
  async function twoAdmins() {
    const { core, id: first } = await openTenant('admin')
    const second = await core.keys.create({ tenant: acme, scopes: ['admin'] })
    return { core, first, second: second.id }
  }

  it('creates none', async () => {
    const { core, first, second } = await twoAdmins()
    const making = core.ownKeys.create(first, { scopes: ['admin'], networks: [] })
    core.ownKeys.revoke({ by: second, id: first }, false)
    await expect(making).rejects.toMatchObject({ code: 'forbidden' })
    expect(core.snapshot()?.keys.map(({ id }) => id)).toEqual([second])
  })

  it('learns no new secret', async () => {
    const { core, first, second } = await twoAdmins()
    const before = core.snapshot()?.keys.find(({ id }) => id === second)?.hash
    const rotating = core.ownKeys.rotate({ by: first, id: second }, 0)
    core.ownKeys.revoke({ by: second, id: first }, false)
    await expect(rotating).rejects.toMatchObject({ code: 'forbidden' })
    expect(core.snapshot()?.keys.find(({ id }) => id === second)?.hash).toBe(before)
  })
})
