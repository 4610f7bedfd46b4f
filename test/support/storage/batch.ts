/** A batch's core with a clock, a network and a webhook receiver that the test controls. */
import { HubRefusal, type Steering } from '#worker/protocols/steering.ts'
import type { z } from 'zod'
import { AppError, type ErrorCode, type ErrorMeta } from '#shared/base/errors.ts'
import { TenantId } from '#shared/base/ids.ts'
import type { KernelWork } from '#shared/job/job.ts'
import { silentLog } from '#shared/base/log.ts'
import { compilePolicy } from '#shared/law/compile-policy.ts'
import type { CompiledPolicy, PolicyDraft } from '#shared/law/policy.ts'
import { countryBit } from '#shared/law/region.ts'
import { kernelOutcome } from '#test/support/hub/outcome.ts'
import { placeIn } from '#test/support/hub/place.ts'
import { createBatchCore, type BatchCore } from '#worker/jobs/core.ts'
import type { TenantWord } from '#worker/jobs/authority/judge-authority.ts'
import { BatchId, type BatchInput, type BatchSpec } from '#worker/protocols/batch.ts'
import type { DispatchRequest, DispatchResult } from '#worker/protocols/hub.ts'
import { createRandom } from '#test/support/random.ts'
import { createSqliteStorage, type TestStorage } from '#test/support/sqlite-storage.ts'
import { asPolicy } from '#test/support/hub/as-policy.ts'

export const GERMANY = countryBit('DE')

/** The key that submitted every batch here. */
export const KEY = 'key_acme_0123456789ab'

/** A version of the policy of every batch here. */
export function policyOf(
  version: number,
  changes: Partial<z.input<typeof PolicyDraft>> = {},
): CompiledPolicy {
  const policy = asPolicy({
    id: 'eu',
    ingress: { allow: ['WORLD'] },
    compute: { allow: ['EU'] },
    ...changes,
  })
  return compilePolicy(policy, { tenant: TenantId.parse('acme'), version })
}

const POLICY = policyOf(3)

/** A job under way, which the test answers or loses. */
export interface SentJob {
  readonly request: DispatchRequest
  readonly payload: Uint8Array
  readonly signal: AbortSignal
  answer(output: Uint8Array, node?: string): void
  lose(code: ErrorCode, meta?: ErrorMeta, steering?: Partial<Steering>): void
}

export interface BatchBench {
  core: BatchCore
  readonly storage: TestStorage
  /** Jobs under way, oldest first. */
  readonly sent: SentJob[]
  readonly webhooks: Request[]
  /** Status of the webhook receiver's next answer. @default 200 */
  webhookStatus: number
  readonly forgotten: string[]
  /** Sizes that the tenant was told for the ended batch. */
  readonly resized: number[]
  /** False when the tenant cannot be told. @default true */
  canResize: boolean
  /** The tenant's answer to the batch; undefined: the tenant cannot be reached. */
  word: TenantWord | null | undefined
  /** Counts the questions to the tenant. */
  asked: number
  nowMs: number
  /** The alarm's time; null when none is set. */
  alarmMs: number | null
  /** The batch as a client in Germany reads it. */
  status(): ReturnType<BatchCore['status']>
  results(page: Parameters<BatchCore['results']>[0]): ReturnType<BatchCore['results']>
  result(name: Parameters<BatchCore['result']>[0]): ReturnType<BatchCore['result']>
  /** Lets time pass, and wakes those who wait for it. */
  pass(durationMs: number): Promise<void>
  /** Lets the alarm go off, without waiting for the work that it starts. */
  ring(): Promise<void>
  /** Answers the oldest job under way. */
  answer(output: Uint8Array): Promise<void>
  /** Loses every job under way. */
  loseAll(...loss: Parameters<SentJob['lose']>): Promise<void>
  /** Kills the process: memory is lost, and a new object opens the same storage. */
  kill(): void
}

export function createBatchBench(seed = 1): BatchBench {
  const random = createRandom(seed)
  const storage = createSqliteStorage()
  const bench: BatchBench = {
    storage,
    sent: [],
    webhooks: [],
    webhookStatus: 200,
    forgotten: [],
    resized: [],
    canResize: true,
    word: { keys: [{ id: KEY, scopes: ['infer'] }], policies: [{ compiled: POLICY }] },
    asked: 0,
    nowMs: 1_700_000_000_000,
    alarmMs: null,
    core: undefined as unknown as BatchCore,
    status: () => bench.core.status(GERMANY),
    results: (page) => bench.core.results(page, GERMANY),
    result: (name) => bench.core.result(name, GERMANY),
    async pass(durationMs) {
      bench.nowMs += durationMs
      for (const sleeper of sleepers) if (sleeper.untilMs <= bench.nowMs) sleeper.wake()
      await settle()
    },
    async ring() {
      if (bench.alarmMs === null) throw new Error('no alarm is set')
      bench.nowMs = Math.max(bench.nowMs, bench.alarmMs)
      bench.alarmMs = null
      void bench.core.drive()
      await settle()
    },
    async answer(output) {
      bench.sent[0]?.answer(output)
      await settle()
    },
    async loseAll(...loss) {
      for (const job of bench.sent.slice()) job.lose(...loss)
      await settle()
    },
    kill() {
      generation += 1
      bench.sent.splice(0)
      bench.core = open()
    },
  }
  let generation = 0
  const sleepers = new Set<{ readonly untilMs: number; wake(): void }>()
  const pause = (delayMs: number, signal: AbortSignal) => {
    const { promise, resolve } = Promise.withResolvers<void>()
    const sleeper = { untilMs: bench.nowMs + delayMs, wake: resolve }
    signal.addEventListener('abort', () => resolve())
    sleepers.add(sleeper)
    return promise.finally(() => sleepers.delete(sleeper))
  }
  const open = () => {
    const own = generation
    return createBatchCore({
      storage,
      nowMs: () => bench.nowMs,
      random: () => random.below(1_000_000) / 1_000_000,
      randomBytes: (sizeBytes) => random.bytes(sizeBytes),
      log: silentLog,
      pause,
      async authority() {
        bench.asked += 1
        if (bench.word === undefined) throw new Error('the tenant cannot be reached')
        return bench.word
      },
      wake: (atMs) => {
        if (own === generation) bench.alarmMs = atMs
      },
      async resize(_, sizeBytes) {
        if (!bench.canResize) throw new Error('the tenant cannot be reached')
        bench.resized.push(sizeBytes)
      },
      forget: ({ id }) => Promise.resolve(void bench.forgotten.push(id)),
      send(request) {
        bench.webhooks.push(request.clone())
        return Promise.resolve(new Response(null, { status: bench.webhookStatus }))
      },
      // A killed process gets no answers.
      dispatch: (job, signal) =>
        own === generation ? send(bench, job, signal) : new Promise(() => {}),
    })
  }
  bench.core = open()
  return bench
}

/** A bench whose batch is {@link rangeBatch}, with its first items under way. */
export async function startBatch(...batch: Parameters<typeof rangeBatch>): Promise<BatchBench> {
  const bench = createBatchBench()
  bench.core.create(...rangeBatch(...batch))
  await bench.ring()
  return bench
}

/** Lets everything happen that needs no time to pass. */
export async function settle(): Promise<void> {
  for (let turn = 0; turn < 5; turn += 1) await new Promise((resolve) => setImmediate(resolve))
}

function send(
  bench: BatchBench,
  job: { readonly request: DispatchRequest; readonly payload: Uint8Array },
  signal: AbortSignal,
): Promise<DispatchResult> {
  const { promise, resolve, reject } = Promise.withResolvers<DispatchResult>()
  const done = () => {
    const at = bench.sent.indexOf(sent)
    if (at !== -1) bench.sent.splice(at, 1)
  }
  const sent: SentJob = {
    ...job,
    signal,
    answer(output, node = 'A') {
      done()
      resolve(resultOf(job.request, output, node))
    },
    lose(code, meta = {}, steering = {}) {
      done()
      reject(new HubRefusal(new AppError(code, `${code} in the test`, { meta }), steering))
    },
  }
  signal.addEventListener('abort', () => sent.lose('cancelled'))
  bench.sent.push(sent)
  return promise
}

export function resultOf(
  request: DispatchRequest,
  output: Uint8Array,
  node: string,
): DispatchResult {
  return {
    payload: output,
    outcome: kernelOutcome([{ binding: 1, sizeBytes: output.length }], {
      receiptId: `0x${request.jobId.slice(4)}${request.jobId.slice(4)}`,
      nodeId: node as DispatchResult['outcome']['nodeId'],
      place: placeIn('DE', { source: 'simulated', trust: 'verified' }),
      units: request.units,
      amountMicroUsd: String(request.units * request.priceMicroUsd),
    }),
  }
}

const WORK: KernelWork = {
  kind: 'kernel',
  wgsl: '@compute @workgroup_size(1) fn main() {}',
  entryPoint: 'main',
  workgroups: [1, 1, 1],
  digest: `0x${'1'.repeat(64)}`,
  buffers: [
    { binding: 0, access: 'read', sizeBytes: 16, filled: true, return: false },
    { binding: 1, access: 'read_write', sizeBytes: 4, filled: false, return: true },
    { binding: 2, access: 'read', sizeBytes: 4, filled: true, return: false },
  ],
}

/** Items over a range: own bytes `[i, i, i+1, 7]`, shared bytes `9 9 9 9`. */
export function rangeBatch(
  items: number,
  changes: Partial<BatchSpec> = {},
): readonly [BatchSpec, BatchInput] {
  const tenant = TenantId.parse('acme')
  const spec: BatchSpec = {
    id: BatchId.parse(`batch_${'ab'.repeat(16)}`),
    tenant,
    keyId: KEY,
    consumer: null,
    requestId: 'req_test',
    traceparent: null,
    policy: POLICY,
    ingress: GERMANY,
    allowed: compilePolicy(asPolicy({ id: 'de', compute: { allow: ['DE'] } }), {
      tenant,
      version: 1,
    }).compute,
    items,
    priceMicroUsd: 2,
    template: {
      work: WORK,
      parts: [
        { source: 'own', sizeBytes: 16 },
        { source: 'shared', sizeBytes: 4 },
      ],
      units: 3,
    },
    range: { start: 0, end: items, step: 1, seed: 7 },
    reduce: null,
    concurrency: 4,
    deadlineMs: 600_000,
    retentionMs: 3_600_000,
    webhook: null,
    ...changes,
  }
  const input = { shared: new Uint8Array(4).fill(9), reduce: new Uint8Array(), items: [] }
  return [spec, input]
}

/** Little-endian f32. */
export function floats(...values: readonly number[]): Uint8Array {
  return new Uint8Array(Float32Array.from(values).buffer)
}
