/** The Tenant Durable Object: one per tenant, in the tenant's jurisdiction; a thin shell over its core. */
import { DurableObject } from 'cloudflare:workers'
import type { Bytes32 } from '#shared/ids.ts'
import { randomBytes } from '#shared/ids.ts'
import type { Policy } from '#shared/policy.ts'
import { createTenantCore, type TenantCore } from './core.ts'
import type { NewKey, RecordedReceipt, TenantApi } from './protocol.ts'

export class Tenant extends DurableObject<Env> implements TenantApi {
  readonly #core: TenantCore

  constructor(ctx: DurableObjectState, env: Env) {
    super(ctx, env)
    this.#core = createTenantCore({
      storage: ctx.storage,
      nowMs: () => Date.now(),
      random: randomBytes,
    })
  }

  async snapshot() {
    return this.#core.snapshot()
  }

  createKey(request: NewKey) {
    return this.#core.createKey(request)
  }

  async revokeKey(id: string) {
    return this.#core.revokeKey(id)
  }

  async listKeys() {
    return this.#core.listKeys()
  }

  async publishPolicy(policy: Policy) {
    return this.#core.publishPolicy(policy)
  }

  async setDefaultPolicy(id: string) {
    this.#core.setDefaultPolicy(id)
  }

  async recordReceipts(receipts: readonly RecordedReceipt[]) {
    this.#core.recordReceipts(receipts)
  }

  async receipt(id: Bytes32) {
    return this.#core.receipt(id)
  }
}
