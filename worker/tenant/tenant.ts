/** The Tenant Durable Object: one per tenant, in the tenant's jurisdiction; a thin shell over its core. */
import { DurableObject } from 'cloudflare:workers'
import type { AuditDetail } from '#shared/audit/entries.ts'
import type { Bytes32, JobId } from '#shared/base/ids.ts'
import { randomBytes } from '#shared/base/ids.ts'
import type { Policy } from '#shared/law/policy.ts'
import type { BatchId, BatchPlace } from '#worker/protocols/batch.ts'
import { readLogIdentity } from '#worker/tenant/log/log-identity.ts'
import { createTenantCore, type TenantCore } from './core.ts'
import type {
  IdempotencyHold,
  IdempotentRequest,
  KeptAnswer,
} from '#worker/protocols/idempotency.ts'
import type {
  KeyChange,
  KeyRequest,
  NewKey,
  RecordedReceipt,
  TenantApi,
} from '#worker/protocols/tenant.ts'
import type { QuotaChange } from '#worker/protocols/quota.ts'
import type { AuditQuery, Stretch, BundlePage, BundleQuery } from '#worker/protocols/audit.ts'

export class Tenant extends DurableObject<Env> implements TenantApi {
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

  /** Never later than an alarm that is already set. */
  async #wakeAt(atMs: number): Promise<void> {
    const set = await this.ctx.storage.getAlarm()
    if (set === null || set > atMs) await this.ctx.storage.setAlarm(atMs)
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

  async noteKeyUse(id: string, atMs: number) {
    this.#core.noteKeyUse(id, atMs)
  }

  async listKeys() {
    return this.#core.listKeys()
  }

  async publishPolicy(policy: Policy, by?: string) {
    return this.#core.publishPolicy(policy, by)
  }

  async allPolicies() {
    return this.#core.allPolicies()
  }

  async policyVersion(id: string, version: number) {
    return this.#core.policyVersion(id, version)
  }

  async policyVersions(id: string) {
    return this.#core.policyVersions(id)
  }

  async setDefaultPolicy(id: string, by?: string) {
    this.#core.setDefaultPolicy(id, by)
  }

  async retirePolicy(id: string, by?: string) {
    return this.#core.retirePolicy(id, by)
  }

  async recordReceipts(receipts: readonly RecordedReceipt[]) {
    return this.#core.recordReceipts(receipts)
  }

  async logCheckpoint(since?: number) {
    return this.#core.audit.head(since)
  }

  signedCheckpoint() {
    return this.#core.audit.checkpoint()
  }

  async auditSearch(query: AuditQuery) {
    return this.#core.audit.search(query)
  }

  async auditCut(query: Pick<BundleQuery, 'from' | 'to'>) {
    return this.#core.bundles.cut(query)
  }

  async auditSelected(page: BundlePage) {
    return this.#core.bundles.selected(page)
  }

  async auditInclusion(leaf: { readonly index: number; readonly size: number }) {
    return this.#core.audit.inclusion(leaf)
  }

  async auditConsistency(sizes: { readonly from: number; readonly to: number }) {
    return this.#core.audit.consistency(sizes)
  }

  openBundle(query: BundleQuery) {
    return this.#core.bundles.open(query)
  }

  async bundlePolicies(page: BundlePage) {
    return this.#core.bundles.policies(page)
  }

  async bundleEntries(page: BundlePage) {
    return this.#core.bundles.entries(page)
  }

  async bundleErasures(page: BundlePage, range: Stretch) {
    return this.#core.bundles.erasures(page, range)
  }

  async bundleJobs(page: BundlePage) {
    return this.#core.bundles.jobs(page)
  }

  async bundleConsistency(from: readonly number[], to: number) {
    return this.#core.bundles.consistency(from, to)
  }

  async recordExport(detail: AuditDetail<'audit.exported'>) {
    this.#core.recordExport(detail)
  }

  async recordRefusals(refusals: readonly AuditDetail<'job.refused'>[]) {
    this.#core.recordRefusals(refusals)
  }

  async eraseJob(jobId: JobId, by: string | null) {
    return this.#core.eraseJob(jobId, by)
  }

  async eraseReceipts(subject: string, ids: readonly Bytes32[], by: string | null) {
    return this.#core.eraseReceipts(subject, ids, by)
  }

  async ropaFacts() {
    return this.#core.ropaFacts()
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

  async releaseIdempotent(hold: IdempotencyHold, isBegun: boolean) {
    this.#core.idempotency.release(hold, isBegun)
  }

  async addBatch(id: BatchId, place: BatchPlace) {
    this.#core.batches.add(id, place)
  }

  async resizeBatch(id: BatchId, sizeBytes: number) {
    this.#core.batches.resize(id, sizeBytes)
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

  async setQuota(change: QuotaChange) {
    return this.#core.quotas.set(change)
  }
}
