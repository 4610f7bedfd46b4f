/** The settlement contract on a real chain, with a hub, nodes, a poster and a consumer that it knows. */
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import {
  deploySettlement,
  fundConsumer,
  newPoster,
  registerHubKey,
  startAnvil,
  type Deployment,
  type LocalAccount,
} from '#scripts/stack/chain.ts'
import { silentLog } from '#shared/base/log.ts'
import { createReceiptMaker, type ReceiptMaker } from '#test/support/hub/receipts.ts'
import { openOnce } from '#test/support/open-once.ts'
import { createLedgerChain, type LedgerChain } from '#worker/ledger/chain/chain.ts'

interface Settlement {
  readonly rpc: string
  readonly deployment: Deployment
  readonly poster: LocalAccount
  readonly consumer: LocalAccount
  readonly maker: ReceiptMaker
  readonly ledgerChain: LedgerChain
  close(): Promise<void>
}

interface SettlementOptions {
  /** @default 1 */
  readonly nodes?: number
  /** The consumer's limit. @default its balance */
  readonly batchLimitMicroUsd?: bigint
}

const BALANCE_MICRO_USD = 1_000_000n

/** Runs a chain with the contract for all tests of a file. */
export function useSettlement(options: SettlementOptions = {}): Settlement {
  return openOnce(
    () => openSettlement(options),
    (opened) => opened.close(),
  )
}

async function openSettlement({
  nodes = 1,
  batchLimitMicroUsd = BALANCE_MICRO_USD,
}: SettlementOptions): Promise<Settlement> {
  const dir = await mkdtemp(join(tmpdir(), 'littoral-settlement-'))
  const anvil = await startAnvil({ dir, log: silentLog })
  const { rpc } = anvil
  const access = { rpc, dir }
  const deployment = await deploySettlement(access)
  const { chainId, settlement } = deployment
  const poster = await newPoster(access, deployment)
  const funds = { balanceMicroUsd: BALANCE_MICRO_USD, batchLimitMicroUsd }
  const consumer = await fundConsumer(access, deployment, funds)
  const maker = await createReceiptMaker({ chainId, verifyingContract: settlement }, nodes)
  await registerHubKey(access, deployment, maker.hub.publicKey)
  const posterKey = poster.privateKey
  return {
    rpc,
    deployment,
    poster,
    consumer,
    maker,
    ledgerChain: createLedgerChain({ rpc, chainId, settlement, posterKey }),
    async close() {
      await anvil.close()
      await rm(dir, { recursive: true, force: true })
    },
  }
}
