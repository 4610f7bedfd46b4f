/** Measures what a receipt costs a Tenant: recorded in groups or alone, against a plain insert of its bytes. */
import { join } from 'node:path'
import { invariant } from '#shared/base/errors.ts'
import { randomBytes } from '#shared/base/ids.ts'
import type { ReceiptGroup } from '#shared/audit/receipt-group.ts'
import { TREE_LEAVES } from '#shared/proof/tree-signature.ts'
import { createTenantCore } from '#worker/tenant/core.ts'
import { TENANT } from '#test/support/hub/policies.ts'
import { createReceiptMaker, groupOf, type ReceiptMaker } from '#test/support/hub/receipts.ts'
import { createSqliteStorage } from '#test/support/sqlite-storage.ts'
import { measureSection, type Contender, type Section } from '../harness/harness.ts'

const DOMAIN = { chainId: 31_337, verifyingContract: `0x${'5e'.repeat(20)}` } as const
const ISSUED_MS = 1_800_000_000_000
const NODES = 8

export async function measureRecord(dir: string, rounds: number): Promise<Section> {
  const maker = await createReceiptMaker(DOMAIN, NODES)
  const storage = createSqliteStorage({ path: join(dir, 'record.sqlite') })
  const core = createTenantCore({ storage, nowMs: () => ISSUED_MS, random: randomBytes })
  await core.keys.create({ tenant: TENANT, scopes: ['infer'] })
  storage.sql.exec('CREATE TABLE plain (id TEXT PRIMARY KEY, receipt BLOB NOT NULL)')
  const plain = ({ receipts }: ReceiptGroup): void =>
    storage.transactionSync(() => {
      for (const { id, receipt } of receipts)
        storage.sql.exec('INSERT INTO plain VALUES (?, ?)', id, receipt)
    })
  const contenders = [
    contender(`${TREE_LEAVES} together`, maker, (group) => void core.receipts.record(group)),
    contender('one at a time', maker, (group) => {
      for (const receipt of group.receipts) core.receipts.record({ ...group, receipts: [receipt] })
    }),
    contender('plain SQLite', maker, plain),
  ]
  const [of] = contenders
  invariant(of, 'there are contenders')
  try {
    return await measureSection({
      name: 'receipts recorded by a tenant',
      contenders,
      comparisons: ['one at a time', 'plain SQLite'].map((to) => ({
        of: of.name,
        to,
        metric: 'cpuMicros',
      })),
      rounds,
    })
  } finally {
    storage.close()
  }
}

/** Makes the receipts first, so that only their recording counts. */
function contender(
  name: string,
  maker: ReceiptMaker,
  record: (group: ReceiptGroup) => void,
): Contender {
  return {
    name,
    async run() {
      const wishes = Array.from({ length: TREE_LEAVES }, (_, i) => ({ node: i % NODES }))
      const receipts = await maker.makeAll(wishes)
      const group = groupOf(receipts.map((receipt) => ({ receipt })))
      const before = process.cpuUsage()
      record(group)
      const { user, system } = process.cpuUsage(before)
      return { cpuMicros: [(user + system) / TREE_LEAVES] }
    },
  }
}
