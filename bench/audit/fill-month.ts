/** Fills the databases of one Tenant and its Ledger with a month of jobs, by their own code, while workerd is down. */
import { readdirSync } from 'node:fs'
import { join } from 'node:path'
import type { Domain } from '#shared/proof/domain.ts'
import { invariant } from '#shared/base/errors.ts'
import { randomBytes, type Address, type Bytes32 } from '#shared/base/ids.ts'
import type { Log } from '#shared/base/log.ts'
import { countryBit, onlyCountry } from '#shared/law/region.ts'
import type { SignedReceipt } from '#shared/receipt/receipt.ts'
import { TENANT } from '#test/support/hub/policies.ts'
import { groupOf, type ReceiptMaker } from '#test/support/hub/receipts.ts'
import { createSqliteStorage } from '#test/support/sqlite-storage.ts'
import { createLedgerCore } from '#worker/ledger/core.ts'
import { createTenantCore, type TenantCore } from '#worker/tenant/core.ts'

const AT_ONCE = 500
const PLACES = ['DE', 'FR', 'NL', 'IE', 'ES']
/** Jobs are dated an hour back, so that no receipt lies in the future. */
const HOUR_MS = 3_600_000

export interface Filling {
  /** Where workerd keeps the Durable Objects' databases. */
  readonly stateDir: string
  readonly jobCount: number
  readonly maker: ReceiptMaker
  readonly consumer: Address
  readonly domain: Domain
  readonly seed: Bytes32
  readonly log: Log
}

/** The Ledger settles them by its own alarm once it runs again. */
export async function fillMonth(filling: Filling): Promise<void> {
  const { jobCount, maker, consumer, seed } = filling
  const tenant = openTenant(filling)
  const ledger = openLedger(filling)
  for (let done = 0; done < jobCount; done += AT_ONCE) {
    const receipts = await makeReceipts(maker, done, Math.min(AT_ONCE, jobCount - done))
    const group = groupOf(receipts.map((receipt) => ({ receipt, consumer, salt: seed })))
    tenant.core.receipts.record(group)
    await ledger.core.accept(group, [])
  }
  tenant.close()
  ledger.close()
}

function makeReceipts(maker: ReceiptMaker, first: number, count: number): Promise<SignedReceipt[]> {
  const issuedAtMs = Date.now() - HOUR_MS
  return maker.makeAll(
    Array.from({ length: count }, (_, i) => {
      const country = countryBit(PLACES[(first + i) % PLACES.length])
      return {
        place: { country, possible: onlyCountry(country) },
        ticket: { issuedAtMs, expiresAtMs: issuedAtMs + 120_000 },
      }
    }),
  )
}

/** workerd names each database by the hash of its object's name. */
function databasesOf(stateDir: string, className: string): string[] {
  const dir = join(stateDir, 'durable-objects', `littoral-${className}`)
  return readdirSync(dir)
    .filter((name) => /^[0-9a-f]{64}\.sqlite$/.test(name))
    .map((name) => join(dir, name))
}

function openTenant({ stateDir, domain, seed }: Filling): { core: TenantCore; close(): void } {
  for (const path of databasesOf(stateDir, 'Tenant')) {
    const storage = createSqliteStorage({ path })
    const log = { domain, seed }
    const core = createTenantCore({ storage, nowMs: Date.now, random: randomBytes, log })
    if (core.snapshot()?.tenant === TENANT) return { core, close: () => storage.close() }
    storage.close()
  }
  throw new Error(`${TENANT} has no database`)
}

function openLedger({ stateDir, log }: Filling) {
  const [path] = databasesOf(stateDir, 'Ledger')
  invariant(path, 'the deployment has a ledger')
  const storage = createSqliteStorage({ path })
  const core = createLedgerCore({
    storage,
    chain: null,
    nowMs: Date.now,
    wake: () => {},
    log,
    batchMs: 1_000,
    confirmations: 0,
    checkpointOf: async () => null,
  })
  return { core, close: () => storage.close() }
}
