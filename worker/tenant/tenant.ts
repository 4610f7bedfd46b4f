/** The Tenant Durable Object: one per tenant, in the tenant's jurisdiction; a thin shell over its core. */
import { DurableObject } from 'cloudflare:workers'
import type { Bytes32 } from '#shared/ids.ts'
import { randomBytes } from '#shared/ids.ts'
import type { Policy } from '#shared/policy.ts'
import type { BatchId } from '../batch/protocol.ts'
import { createTenantCore, type TenantCore } from './core.ts'
import type { IdempotencyHold, IdempotentRequest, KeptAnswer } from './idempotency.ts'
import type { KeyChange, KeyRequest, NewKey, RecordedReceipt, TenantApi } from './protocol.ts'
import type { Quota } from './quota.ts'

export class Tenant extends DurableObject<Env> implements TenantApi {
  readonly #core: TenantCore

  constructor(ctx: DurableObjectState, env: Env) {
    super(ctx, env)
    this.#core = createTenantCore({
      storage: ctx.storage,
      nowMs: () => Date.now(),
      random: randomBytes,
      wakeAt: (atMs) => void this.#wakeAt(atMs),
    })
  }

  override async alarm(): Promise<void> {
    const nextMs = this.#core.sweep()
    if (nextMs !== undefined) await this.ctx.storage.setAlarm(nextMs)
  }

  /** The alarm that is set first is the one that is due first: each answer is kept equally long. */
  async #wakeAt(atMs: number): Promise<void> {
    if ((await this.ctx.storage.getAlarm()) === null) await this.ctx.storage.setAlarm(atMs)
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

  createOwnKey(by: string, request: KeyRequest) {
    return this.#core.ownKeys.create(by, request)
  }

  rotateOwnKey(change: KeyChange, overlapMs: number) {
    return this.#core.ownKeys.rotate(change, overlapMs)
  }

  async revokeOwnKey(change: KeyChange, lastAdmin: boolean) {
    return this.#core.ownKeys.revoke(change, lastAdmin)
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

  beginIdempotent(request: IdempotentRequest) {
    return this.#core.idempotency.begin(request)
  }

  async completeIdempotent(hold: IdempotencyHold, answer: KeptAnswer) {
    return this.#core.idempotency.complete(hold, answer)
  }

  async releaseIdempotent(hold: IdempotencyHold) {
    this.#core.idempotency.release(hold)
  }

  async addBatch(id: BatchId, eraseAtMs: number) {
    this.#core.batches.add(id, eraseAtMs)
  }

  async forgetBatch(id: BatchId) {
    this.#core.batches.remove(id)
  }

  async listBatches() {
    return this.#core.batches.list()
  }

  async leaseRequests() {
    return this.#core.quotas.leaseRequests()
  }

  async leaseSpend(wantedMicroUsd: number) {
    return this.#core.quotas.leaseSpend(wantedMicroUsd)
  }

  async quota() {
    return this.#core.quotas.state()
  }

  async setQuota(quota: Quota) {
    return this.#core.quotas.set(quota)
  }
}
