import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import type { TenantCheckpoint } from '#shared/audit.ts'
import { nameHash, TenantId, type Bytes32 } from '#shared/ids.ts'
import { silentLog } from '#shared/log.ts'
import { createLogHeads } from '#worker/ledger/log-heads.ts'
import { createSqliteStorage, type TestStorage } from '../../support/sqlite-storage.ts'

const acme = TenantId.parse('acme')
const head = (size: number, byte: string): TenantCheckpoint => ({
  tenant: nameHash(acme),
  size,
  root: `0x${byte.repeat(32)}` as Bytes32,
})

let storage: TestStorage
let answer: () => Promise<TenantCheckpoint | null>
let errors: string[]
beforeEach(() => {
  storage = createSqliteStorage()
  errors = []
})
afterEach(() => storage.close())

/** The same storage, a new process. */
const ask = () =>
  createLogHeads((query, ...bindings) => storage.sql.exec(query, ...bindings).toArray(), {
    checkpointOf: () => answer(),
    log: { ...silentLog, error: (event: string) => void errors.push(event) },
  })(acme)

describe('the heads of the audit logs', () => {
  it('grow, and the last one known stands in for a tenant that does not answer', async () => {
    answer = async () => head(3, 'aa')
    expect(await ask()).toEqual(head(3, 'aa'))
    answer = async () => head(9, 'bb')
    expect(await ask()).toEqual(head(9, 'bb'))
    answer = () => Promise.reject(new Error('it is being moved'))
    expect(await ask()).toEqual(head(9, 'bb'))
    answer = async () => null
    expect(await ask()).toEqual(head(9, 'bb'))
    expect(errors).toEqual([])
  })

  it.each([
    ['shrank', head(2, 'aa')],
    ['has another root at the same size', head(3, 'bb')],
  ])('of a log that %s do not get onto the chain', async (_case, forked) => {
    answer = async () => head(3, 'aa')
    await ask()
    answer = async () => forked
    expect(await ask()).toBeNull()
    expect(errors).toEqual(['log-head.forked'])
    answer = async () => head(3, 'aa')
    expect(await ask()).toEqual(head(3, 'aa'))
  })
})
