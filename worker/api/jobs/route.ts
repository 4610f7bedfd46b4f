/** `/v1/jobs`: batches that run on many nodes. Each has its own Durable Object. */
import { Hono } from 'hono'
import { hexToBytes } from 'viem'
import { z } from 'zod'
import { AppError, errorCode } from '#shared/base/errors.ts'
import { sliceTensors } from '#shared/job/job.ts'
import { batchHome, newBatchId } from './home.ts'
import {
  type BatchApi,
  type BatchSpec,
  type BatchStatus,
  type ItemResult,
  type Webhook,
  JOBS_LISTENERS,
} from '#worker/protocols/batch.ts'
import { reservedBytes } from './size.ts'
import { newSecret, readSecret } from '#worker/jobs/delivery/webhook.ts'
import { webhookUrlFault } from '#worker/jobs/delivery/webhook-url.ts'
import { callerOf, ownTenant, type AppContext, type AppEnv } from '#worker/gate/context.ts'
import type { CompiledPolicy } from '#shared/law/policy.ts'
import { requireHubs } from '#worker/dispatch/hubs.ts'
import { openBatch } from '#worker/protocols/durable-objects.ts'
import { AskedBatchId, AskedJobId } from '#worker/body/asked-id.ts'
import { encodeBase64 } from '#shared/base/base64.ts'
import { eraseBatch, eraseJob } from '#worker/api/audit/erasure.ts'
import { decodeJobs } from './decode-jobs.ts'
import { invalidAt, parseBody } from '#worker/body/faults.ts'
import { JobsRequest } from './jobs.ts'
import { requireScope } from '#worker/gate/auth.ts'
import { readJson } from '#worker/gate/body.ts'
import { inference } from '#worker/gate/inference.ts'
import { isAsked, takesQuery } from '#worker/http/known-names.ts'
import { reserveSpend } from '#worker/gate/quota.ts'
import { chooseResidency } from '#worker/gate/residency.ts'
import { macOf } from '#worker/platform/mac.ts'
import { observeIngress } from '#worker/edge/place.ts'
import { findManifest } from '#worker/body/find-manifest.ts'
import { takeJobId } from '#worker/gate/idempotent.ts'

/** Items of one page. */
const JOBS_PAGE_ITEMS = 1_000

/** Set at build time: a development build also calls http on this machine. */
declare const __SIMULATED_PLACES__: boolean

const LIST_PAGE = 20
const BINARY = 'application/octet-stream'

export const jobRoutes = new Hono<AppEnv>()
  .post('/v1/jobs', ...inference, createBatch)
  .get('/v1/jobs', requireScope('infer'), takesQuery('after'), listBatches)
  .get('/v1/jobs/:id', requireScope('infer'), getStatus)
  .get('/v1/jobs/:id/results', requireScope('infer'), takesQuery('after', 'limit'), getResults)
  .get('/v1/jobs/:id/results/:which', requireScope('infer'), getResult)
  .get('/v1/jobs/:id/events', requireScope('infer'), takesQuery('after'), getEvents)
  .post('/v1/jobs/:id/acknowledge', requireScope('infer'), acknowledge)
  .delete('/v1/jobs/:id', requireScope('infer', 'admin'), takesQuery('erase'), cancelOrErase)

async function createBatch(c: AppContext): Promise<Response> {
  const request = parseBody(JobsRequest, await readJson(c))
  const webhook = await readWebhook(c, request.webhook)
  const decoded = await decodeJobs(request, findManifest)
  const { config, isolate, requestId, traceparent } = c.var
  const caller = callerOf(c)
  const { policy, allowed } = await chooseResidency(c, request)
  checkRetention(request, policy)
  requireHubs(policy, config)
  // Id and secret derive from the idempotency key, so a repeated request is the same batch.
  const seed = hexToBytes(`0x${takeJobId(c).jobId.slice('job_'.length)}`)
  const id = newBatchId(batchHome(policy, caller.tenant, config), () => seed)
  const { input, units: _, ...plan } = decoded
  const spec: BatchSpec = {
    ...plan,
    id,
    tenant: caller.tenant,
    keyId: caller.keyId,
    consumer: caller.snapshot.consumer,
    requestId,
    traceparent,
    policy,
    allowed,
    ingress: await ingressOf(c),
    concurrency: request.concurrency,
    deadlineMs: request.deadlineMs,
    retentionMs: request.retentionMinutes * 60_000,
    webhook,
  }
  // Opened first: if the deployment cannot keep the batch, nothing is recorded.
  const batch = openBatch(c.env, spec, config)
  const costMicroUsd = decoded.units * plan.priceMicroUsd
  const settle = await reserveSpend(c, costMicroUsd)
  try {
    const eraseAtMs = isolate.nowMs() + spec.deadlineMs + spec.retentionMs + ERASE_SLACK_MS
    await ownTenant(c).batches.add(id, {
      eraseAtMs,
      sizeBytes: reservedBytes(spec, input),
    })
    const status = await batch.create(spec, input)
    settle(costMicroUsd)
    c.header('location', `/v1/jobs/${id}`)
    const isOurs = request.webhook !== undefined && request.webhook.secret === undefined
    return c.json({ ...status, ...(isOurs ? { webhookSecret: webhook?.secret } : {}) }, 202)
  } catch (error) {
    settle(0)
    throw error
  }
}

const MINUTES_A_DAY = 1_440

/** Results are records too, so they end with the policy's retention. */
function checkRetention(
  { retentionMinutes }: Pick<JobsRequest, 'retentionMinutes'>,
  { id, retentionDays }: CompiledPolicy,
): void {
  if (retentionMinutes <= retentionDays * MINUTES_A_DAY) return
  const detail = `policy ${id} keeps records for ${retentionDays} days: at most ${retentionDays * MINUTES_A_DAY} minutes`
  throw invalidAt('/retentionMinutes', detail)
}

/** Most time by which an entry outlives its batch. */
const ERASE_SLACK_MS = 3_600_000

async function readWebhook(c: AppContext, given: JobsRequest['webhook']): Promise<Webhook | null> {
  if (given === undefined) return null
  const { url, secret = await ownSecret(c) } = given
  const urlFault = webhookUrlFault(url, { loopback: __SIMULATED_PLACES__ })
  if (urlFault !== undefined) throw invalidAt('/webhook/url', urlFault)
  if (readSecret(secret) === undefined) {
    const detail = 'must be "whsec_" and the base64 of 24 to 64 bytes'
    throw invalidAt('/webhook/secret', detail)
  }
  return { url, secret }
}

/** Deterministic for one idempotency key, and secret to everybody who only knows the batch's id. */
async function ownSecret(c: AppContext): Promise<string> {
  const { once, isolate, config } = c.var
  if (once === undefined || config.admissionSecret === undefined) return newSecret(isolate.random)
  const bytes = await macOf(`webhook-secret:${once.jobId}`, config.admissionSecret)
  return newSecret((sizeBytes) => bytes.subarray(0, sizeBytes))
}

async function listBatches(c: AppContext): Promise<Response> {
  const { config } = c.var
  const caller = callerOf(c)
  const query = parseBody(z.object({ after: AskedBatchId.optional() }), c.req.query())
  const ingress = await ingressOf(c)
  const all = await ownTenant(c).batches.list()
  const from = query.after === undefined ? 0 : all.findIndex(({ id }) => id === query.after) + 1
  const page = all.slice(from, from + LIST_PAGE)
  const states = await Promise.all(
    page.map(({ id }) =>
      statusOrNone(openBatch(c.env, { tenant: caller.tenant, id }, config), ingress),
    ),
  )
  const next = from + LIST_PAGE < all.length ? (page.at(-1)?.id ?? null) : null
  return c.json({ object: 'list', data: states.flatMap((state) => state ?? []), next })
}

/** Missing or forbidden batches do not hide the others. */
async function statusOrNone(batch: BatchApi, ingress: number): Promise<BatchStatus | undefined> {
  try {
    return await batch.status(ingress)
  } catch (error) {
    const code = errorCode(error)
    if (code === 'not_found' || code === 'residency_ingress_denied') return undefined
    throw error
  }
}

async function getStatus(c: AppContext): Promise<Response> {
  return c.json(await openOwn(c).status(await ingressOf(c)))
}

/** Cancels a batch, and with `?erase=true` erases it; erases a single job. */
async function cancelOrErase(c: AppContext): Promise<Response> {
  const jobId = AskedJobId.safeParse(c.req.param('id'))
  if (jobId.success) return c.json(await eraseJob(c, jobId.data))
  if (!isAsked(c, 'erase')) return c.json(await openOwn(c).cancel())
  const batchId = AskedBatchId.safeParse(c.req.param('id'))
  if (!batchId.success) throw new AppError('not_found', 'There is no such batch.')
  return c.json(await eraseBatch(c, { id: batchId.data, batch: openOwn(c) }))
}

async function acknowledge(c: AppContext): Promise<Response> {
  return c.json(await openOwn(c).acknowledge())
}

const Page = z.object({
  after: z.coerce.number().int().min(-1).default(-1),
  limit: z.coerce.number().int().min(1).max(JOBS_PAGE_ITEMS).default(100),
})

async function getResults(c: AppContext): Promise<Response> {
  const query = parseBody(Page, c.req.query())
  const page = await openOwn(c).results(query, await ingressOf(c))
  if (!wantsBinary(c)) {
    return c.json({ object: 'list', data: page.results.map(showResult), next: page.next })
  }
  const headers: Record<string, string> = { 'content-type': BINARY }
  if (page.next !== null) headers['x-littoral-next'] = String(page.next)
  return new Response(frameResults(page.results), { headers })
}

/** `/results/7` or `/results/reduced`. */
async function getResult(c: AppContext): Promise<Response> {
  const which = parseBody(
    z.union([z.literal('reduced'), z.string().regex(/^(0|[1-9][0-9]{0,4})$/)]),
    c.req.param('which'),
  )
  const index = which === 'reduced' ? which : Number(which)
  const result = await openOwn(c).result(index, await ingressOf(c))
  if (!wantsBinary(c)) return c.json(showResult(result))
  const { item, payload } = result
  const receipt = item.receipt === null ? {} : { 'x-littoral-receipt': item.receipt }
  return new Response(new Uint8Array(payload), { headers: { 'content-type': BINARY, ...receipt } })
}

async function getEvents(c: AppContext): Promise<Response> {
  const given = c.req.header('last-event-id') ?? c.req.query('after') ?? '0'
  const { after } = parseBody(z.object({ after: z.coerce.number().int().min(0) }), { after: given })
  const ingress = await ingressOf(c)
  const request = new Request(`http://batch/events?after=${after}&ingress=${ingress}`, {
    signal: c.req.raw.signal,
  })
  const response = await openOwn(c).fetch(request)
  if (response.status === 204) return c.body(null, 204)
  if (response.status === 503) {
    throw new AppError('rate_limited', `A batch has at most ${JOBS_LISTENERS} listeners.`)
  }
  if (!response.ok) throw await readRefusal(response)
  return new Response(response.body, {
    headers: { 'content-type': 'text/event-stream', 'cache-control': 'no-store' },
  })
}

async function readRefusal(response: Response): Promise<AppError> {
  const wire = z.looseObject({ detail: z.string() }).parse(await response.json())
  return new AppError(errorCode(wire) ?? 'internal', wire.detail)
}

/** @throws {AppError} not_found, also for malformed ids and places that this deployment lacks */
function openOwn(c: AppContext): BatchApi {
  const { config } = c.var
  const caller = callerOf(c)
  const id = AskedBatchId.safeParse(c.req.param('id'))
  const refusal = new AppError('not_found', 'This key has no such batch, or the batch was erased.')
  if (!id.success) throw refusal
  try {
    return openBatch(c.env, { tenant: caller.tenant, id: id.data }, config)
  } catch (cause) {
    throw errorCode(cause) === 'residency_unsatisfiable' ? refusal : cause
  }
}

async function ingressOf(c: AppContext): Promise<number> {
  const { country } = await observeIngress(c.req.raw, c.var.config)
  return country
}

function wantsBinary(c: AppContext): boolean {
  return c.req.header('accept') === BINARY
}

function showResult({ item, outputs, payload }: ItemResult) {
  const slices = sliceTensors(outputs, payload)
  return {
    ...item,
    outputs: outputs.map(({ name, datatype, shape }, i) => ({
      name,
      datatype,
      shape,
      data: encodeBase64(slices[i] ?? new Uint8Array()),
    })),
  }
}

/** For each finished item: u32 index, u32 length, both little-endian, then its outputs. */
function frameResults(results: readonly ItemResult[]): Uint8Array<ArrayBuffer> {
  const done = results.filter(({ item }) => item.status === 'done')
  const bytes = new Uint8Array(done.reduce((sum, { payload }) => sum + 8 + payload.length, 0))
  const view = new DataView(bytes.buffer)
  let at = 0
  for (const { item, payload } of done) {
    view.setUint32(at, item.index, true)
    view.setUint32(at + 4, payload.length, true)
    bytes.set(payload, at + 8)
    at += 8 + payload.length
  }
  return bytes
}
