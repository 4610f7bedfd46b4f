/** The Ledger Durable Object: one for each jurisdiction; a thin shell over `core.ts`. Its alarm drives the batches. */
import { DurableObject } from 'cloudflare:workers'
import { z } from 'zod'
import type { ReceiptGroup } from '#shared/audit/receipt-group.ts'
import { Address, Bytes32, type TenantId } from '#shared/base/ids.ts'
import { createLog } from '#shared/base/log.ts'
import type { PublicKey } from '#shared/proof/signature.ts'
import { readConfig } from '#worker/platform/config.ts'
import { openTenant } from '#worker/protocols/durable-objects.ts'
import { createLedgerChain, type LedgerChain } from '#worker/ledger/chain/chain.ts'
import { createLedgerCore, type LedgerCore } from './core.ts'
import type { LedgerApi } from '#worker/protocols/ledger.ts'

/** A local chain mines a block for each transaction and never reorganises. */
const LOCAL_CHAIN_ID = 31_337
/** Blocks on top of a batch's own before it counts as settled, on any other chain. */
const CONFIRMATIONS = 12

const Vars = z.object({
  CHAIN_RPC: z.string(),
  CHAIN_ID: z.coerce.number().int().min(0),
  SETTLEMENT_ADDRESS: z.union([z.literal(''), Address]),
  BATCH_SECONDS: z.coerce.number().min(0.1).max(3600),
  POSTER_KEY: z.union([z.literal(''), Bytes32]).default(''),
})

export class Ledger extends DurableObject<Env> implements LedgerApi {
  readonly #core: LedgerCore

  constructor(ctx: DurableObjectState, env: Env) {
    super(ctx, env)
    const vars = Vars.parse(env)
    this.#core = createLedgerCore({
      storage: ctx.storage,
      chain: openChain(vars),
      nowMs: () => Date.now(),
      wake: (delayMs) => ctx.waitUntil(this.#wake(delayMs)),
      log: createLog({}, { ledger: ctx.id.name }),
      batchMs: vars.BATCH_SECONDS * 1000,
      confirmations: vars.CHAIN_ID === LOCAL_CHAIN_ID ? 0 : CONFIRMATIONS,
      checkpointOf: (tenant, since) => openTenant(env, tenant, readConfig(env)).log.head(since),
    })
  }

  accept(group: ReceiptGroup, later: readonly Bytes32[]) {
    return this.#core.accept(group, later)
  }

  status(receiptIds: readonly Bytes32[]) {
    return this.#core.status(receiptIds)
  }

  earnings(key: PublicKey) {
    return this.#core.earnings(key)
  }

  health() {
    return this.#core.health()
  }

  settledLogs(tenant: TenantId, batchIds: readonly number[]) {
    return this.#core.settledLogs(tenant, batchIds)
  }

  override alarm() {
    return this.#core.tick()
  }

  /** Keeps an earlier alarm. */
  async #wake(delayMs: number): Promise<void> {
    const at = Date.now() + delayMs
    const set = await this.ctx.storage.getAlarm()
    if (set === null || set > at) await this.ctx.storage.setAlarm(at)
  }
}

/** Null unless all variables of the chain are set. */
function openChain(vars: z.infer<typeof Vars>): LedgerChain | null {
  const { CHAIN_RPC, CHAIN_ID, SETTLEMENT_ADDRESS, POSTER_KEY } = vars
  if (CHAIN_RPC === '' || CHAIN_ID === 0 || SETTLEMENT_ADDRESS === '' || POSTER_KEY === '')
    return null
  return createLedgerChain({
    rpc: CHAIN_RPC,
    chainId: CHAIN_ID,
    settlement: SETTLEMENT_ADDRESS,
    posterKey: POSTER_KEY,
  })
}
