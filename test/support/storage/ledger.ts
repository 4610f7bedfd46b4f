/** A Ledger's core over real SQLite and a modelled chain, with a clock that the test moves. */
import { afterEach, beforeAll, beforeEach } from 'vitest'
import type { Address } from '#shared/base/ids.ts'
import { silentLog } from '#shared/base/log.ts'
import { createReceiptMaker, nowOfReceipts, type ReceiptMaker } from '#test/support/hub/receipts.ts'
import { createSqliteStorage, type TestStorage } from '#test/support/sqlite-storage.ts'
import { createModelChain, type ModelChain } from '#test/support/storage/model-chain.ts'
import { createLedgerCore, type LedgerCore, type LedgerDeps } from '#worker/ledger/core.ts'

export const DOMAIN = { chainId: 31_337, verifyingContract: `0x${'5e'.repeat(20)}` } as const
export const CONSUMER: Address = `0x${'c1'.repeat(20)}`

interface LedgerBench {
  /** Its hub is registered on the chain. */
  maker: ReceiptMaker
  storage: TestStorage
  chain: ModelChain
  nowMs: number
  /** Opens a Ledger on the bench's storage. */
  start(change?: Partial<LedgerDeps>): LedgerCore
}

type LedgerWish = Partial<LedgerDeps> & Pick<LedgerDeps, 'storage' | 'chain' | 'nowMs'>

/** A Ledger whose alarm the test rings, and whose tenants have no logs. */
export function openLedger(wish: LedgerWish): LedgerCore {
  return createLedgerCore({
    wake: () => {},
    log: silentLog,
    batchMs: 1_000,
    confirmations: 0,
    checkpointOf: async () => null,
    ...wish,
  })
}

/** Every test gets a new storage, and a chain where {@link CONSUMER} has money. */
export function useLedgerBench(): LedgerBench {
  const bench = {
    start: (change = {}) => {
      const { storage, chain } = bench
      return openLedger({ storage, chain, nowMs: () => bench.nowMs, ...change })
    },
  } as LedgerBench
  beforeAll(async () => {
    bench.maker = await createReceiptMaker(DOMAIN, 2)
  })
  beforeEach(() => {
    bench.storage = createSqliteStorage()
    bench.chain = createModelChain(DOMAIN)
    bench.chain.hubs.add(bench.maker.hub.publicKey.x)
    bench.chain.accounts.set(CONSUMER, { balance: 10_000n, limit: 1_000n })
    bench.nowMs = nowOfReceipts()
  })
  afterEach(() => bench.storage.close())
  return bench
}

/** Ticks and mines until everything payable has settled. */
export async function settleAll(bench: LedgerBench, ledger: LedgerCore): Promise<void> {
  for (let i = 0; i < 8; i += 1) {
    await ledger.tick()
    bench.chain.mine()
    bench.nowMs += 31_000
  }
}
