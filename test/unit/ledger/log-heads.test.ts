import { LEDGER_SCHEMA } from '#worker/ledger/intake/database.ts'
import { stringToBytes } from 'viem'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import type { LogProgress } from '#shared/audit/entries.ts'
import { nameHash, TenantId } from '#shared/base/ids.ts'
import { silentLog } from '#shared/base/log.ts'
import { consistencyProof, leafHash, treeRoot } from '#shared/proof/tree.ts'
import { appendToTiles, createTileReader } from '#shared/audit/transparency-tiles.ts'
import { createLogHeads } from '#worker/ledger/batches/log-heads.ts'
import { createSqliteStorage, type TestStorage } from '#test/support/sqlite-storage.ts'

const acme = TenantId.parse('acme')

/** The answers of a tenant with this log. */
function logOf(entries: readonly string[]) {
  const tiles = new Map<string, Uint8Array>()
  const store = {
    read: (level: number, position: number) => tiles.get(`${level}/${position}`),
    write: (level: number, position: number, hashes: Uint8Array) =>
      void tiles.set(`${level}/${position}`, hashes),
  }
  appendToTiles(
    store,
    0,
    entries.map((entry) => leafHash(stringToBytes(entry))),
  )
  const read = createTileReader(store)
  return async (_tenant: TenantId, since: number): Promise<LogProgress> => {
    const size = entries.length
    const consistency = since > size ? [] : consistencyProof({ from: since, to: size }, read)
    return { tenant: nameHash(acme), size, root: treeRoot(size, read), consistency }
  }
}

let storage: TestStorage
let answer: (tenant: TenantId, since: number) => Promise<LogProgress | null>
let errors: string[]
beforeEach(() => {
  storage = createSqliteStorage({ schema: LEDGER_SCHEMA })
  errors = []
})
afterEach(() => storage.close())

/** The same storage, a new process. */
const ask = () =>
  createLogHeads((query, ...bindings) => storage.sql.exec(query, ...bindings).toArray(), {
    checkpointOf: (tenant, since) => answer(tenant, since),
    log: { ...silentLog, error: (event: string) => void errors.push(event) },
  })(acme)

describe('the heads of the audit logs', () => {
  it('grow, and the last known one is used when the tenant does not answer', async () => {
    answer = logOf(['a', 'b', 'c'])
    expect(await ask()).toMatchObject({ size: 3 })
    answer = logOf(['a', 'b', 'c', 'd', 'e'])
    const grown = await ask()
    expect(grown).toMatchObject({ size: 5 })
    answer = () => Promise.reject(new Error('it is being moved'))
    expect(await ask()).toEqual(grown)
    answer = async () => null
    expect(await ask()).toEqual(grown)
    expect(errors).toEqual([])
  })

  it.each([
    ['shrank', ['a', 'b']],
    ['has another root at the same size', ['a', 'b', 'x']],
    ['has another past and is longer', ['a', 'x', 'c', 'd', 'e']],
  ])('[AU7] of a log that %s are not posted', async (_case, entries) => {
    answer = logOf(['a', 'b', 'c'])
    const before = await ask()
    answer = logOf(entries)
    expect(await ask()).toBeNull()
    expect(errors).toEqual(['log-head.forked'])
    answer = logOf(['a', 'b', 'c'])
    expect(await ask()).toEqual(before)
  })
})
