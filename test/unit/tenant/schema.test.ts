/** Versions of a Durable Object's tables, over real SQLite. */
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { NO_DOMAIN } from '#shared/proof/domain.ts'
import { randomBytes, TenantId } from '#shared/base/ids.ts'
import { createSqliteStorage, type TestStorage } from '#test/support/sqlite-storage.ts'
import { dropTables, hasTables, openSchema, type Schema } from '#worker/platform/schema.ts'
import { createTenantCore } from '#worker/tenant/core.ts'

const FIRST: Schema = {
  store: 'drawer',
  migrations: [['CREATE TABLE things (id TEXT PRIMARY KEY)', 'CREATE INDEX by_id ON things (id)']],
}
const SECOND: Schema = {
  store: 'drawer',
  migrations: [
    ...FIRST.migrations,
    ["ALTER TABLE things ADD COLUMN colour TEXT NOT NULL DEFAULT 'grey'"],
  ],
}

let storage: TestStorage
beforeEach(() => void (storage = createSqliteStorage()))
afterEach(() => storage.close())

const rows = (query: string) => storage.sql.exec(query).toArray()
const open = (schema: Schema) => storage.transactionSync(() => openSchema(storage, schema))

describe('the tables of a store', () => {
  it('are created once, and found by every later start', () => {
    expect(hasTables(storage)).toBe(false)
    open(FIRST)
    storage.sql.exec("INSERT INTO things VALUES ('a')")
    open(FIRST)
    expect(rows('SELECT * FROM things')).toEqual([{ id: 'a' }])
    expect(rows('SELECT version FROM schema')).toEqual([{ version: 1 }])
  })

  it('are migrated to the newest version with their data, each migration once', () => {
    open(FIRST)
    storage.sql.exec("INSERT INTO things VALUES ('a')")
    open(SECOND)
    open(SECOND)
    expect(rows('SELECT * FROM things')).toEqual([{ id: 'a', colour: 'grey' }])
    expect(rows('SELECT version FROM schema')).toEqual([{ version: 2 }])
  })

  it('stay as they were when a migration fails in the middle', () => {
    open(FIRST)
    const broken = { ...SECOND, migrations: [...SECOND.migrations, ['DROP TABLE nothing']] }
    expect(() => open(broken)).toThrow('nothing')
    expect(rows('SELECT version FROM schema')).toEqual([{ version: 1 }])
    open(FIRST)
  })

  it('are refused by name when they have a later version or none', () => {
    open(SECOND)
    expect(() => open(FIRST)).toThrow('The tables of this drawer are of version 2')
    dropTables(storage)
    expect(hasTables(storage)).toBe(false)
    storage.sql.exec('CREATE TABLE things (id TEXT)')
    expect(() => open(FIRST)).toThrow('The tables of this drawer have no version')
  })

  it('refuse a tenant of another version, and do not exist for a tenant without a key', async () => {
    const deps = {
      storage,
      nowMs: () => 1,
      random: randomBytes,
      log: { domain: NO_DOMAIN, seed: undefined },
    }
    const core = createTenantCore(deps)
    expect(core.snapshot()).toBeNull()
    expect(hasTables(storage)).toBe(false)
    await core.keys.create({ tenant: TenantId.parse('acme'), scopes: ['infer'] })
    expect(createTenantCore(deps).snapshot()?.tenant).toBe('acme')
    storage.sql.exec('UPDATE schema SET version = 99')
    expect(() => createTenantCore(deps)).toThrow('The tables of this tenant are of version 99')
  })
})
