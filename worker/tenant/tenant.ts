/** The Tenant Durable Object: one for each tenant, in the tenant's jurisdiction; a thin shell over its core. */
import { DurableObject } from 'cloudflare:workers'
import { randomBytes } from '#shared/base/ids.ts'
import { readLogIdentity } from '#worker/tenant/log/log-identity.ts'
import type { TenantObject } from '#worker/protocols/tenant.ts'
import { createTenantCore, type TenantCore } from './core.ts'

/** Each getter is a room. A call like `stub.keys.list()` sends its whole path, so it costs one round trip. */
export class Tenant extends DurableObject<Env> implements TenantObject {
  readonly #core: TenantCore

  constructor(ctx: DurableObjectState, env: Env) {
    super(ctx, env)
    this.#core = createTenantCore({
      storage: ctx.storage,
      nowMs: () => Date.now(),
      random: randomBytes,
      wakeAt: (atMs) => void this.#wakeAt(atMs),
      log: readLogIdentity(env),
    })
  }

  override async alarm(): Promise<void> {
    const nextMs = this.#core.sweep()
    if (nextMs !== undefined) await this.ctx.storage.setAlarm(nextMs)
  }

  /** Keeps an earlier alarm. */
  async #wakeAt(atMs: number): Promise<void> {
    const set = await this.ctx.storage.getAlarm()
    if (set === null || set > atMs) await this.ctx.storage.setAlarm(atMs)
  }

  snapshot() {
    return this.#core.snapshot()
  }

  ropaFacts() {
    return this.#core.ropaFacts()
  }

  get keys() {
    return this.#core.keys
  }

  get ownKeys() {
    return this.#core.ownKeys
  }

  get policies() {
    return this.#core.policies
  }

  get receipts() {
    return this.#core.receipts
  }

  get log() {
    return this.#core.log
  }

  get bundles() {
    return this.#core.bundles
  }

  get idempotency() {
    return this.#core.idempotency
  }

  get quota() {
    return this.#core.quota
  }

  get batches() {
    return this.#core.batches
  }
}
