/** `/v1/audit`: a tenant's log, searched, proven, exported, and bundled for an auditor. */
import { Hono } from 'hono'
import type { LogEntry } from '#shared/audit.ts'
import { createLogSigner } from '#shared/checkpoint.ts'
import { AppError } from '#shared/errors.ts'
import { Bytes32 } from '#shared/ids.ts'
import { LIMITS } from '#shared/limits.ts'
import { collectBundle } from '../collect-bundle.ts'
import type { AppContext, AppEnv } from '../context.ts'
import { openTenant } from '../durable-objects.ts'
import { AskedJobId } from '../formats/asked-id.ts'
import {
  BundleQuery,
  ConsistencyQuery,
  CSV_HEAD,
  ExportQuery,
  InclusionQuery,
  SearchQuery,
  toCsvLine,
  toJsonLine,
} from '../formats/audit.ts'
import { parseBody } from '../formats/faults.ts'
import { requireScope } from '../middleware/auth.ts'
import { takesQuery } from '../middleware/known-names.ts'
import type { TenantApi } from '../tenant/protocol.ts'

export const auditRoutes = new Hono<AppEnv>()
  .get('/v1/audit/key', showKey)
  .get(
    '/v1/audit/events',
    requireScope('audit'),
    takesQuery(...Object.keys(SearchQuery.shape)),
    searchEvents,
  )
  .get('/v1/audit/checkpoint', requireScope('audit'), showCheckpoint)
  .get(
    '/v1/audit/inclusion',
    requireScope('audit'),
    takesQuery(...Object.keys(InclusionQuery.shape)),
    proveInclusion,
  )
  .get(
    '/v1/audit/consistency',
    requireScope('audit'),
    takesQuery(...Object.keys(ConsistencyQuery.shape)),
    proveConsistency,
  )
  .get(
    '/v1/audit/export',
    requireScope('audit'),
    takesQuery(...Object.keys(ExportQuery.shape)),
    exportEvents,
  )
  .get(
    '/v1/audit/bundle',
    requireScope('audit'),
    takesQuery(...Object.keys(BundleQuery.shape)),
    bundleRange,
  )
  .get('/v1/jobs/:id/proof', requireScope('audit'), bundleJob)

/** Public: auditors pin it. */
async function showKey(c: AppContext): Promise<Response> {
  const seed = Bytes32.safeParse(c.var.config.logKey)
  if (!seed.success) throw new AppError('not_found', 'This deployment signs no checkpoints.')
  const { publicKey } = await createLogSigner(seed.data)
  return c.json({ algorithm: 'Ed25519', publicKey })
}

async function searchEvents(c: AppContext): Promise<Response> {
  const { type, job, from, to, before, limit } = parseBody(SearchQuery, c.req.query())
  const query = { type, jobId: job, fromMs: from, toMs: to, before, limit }
  const { entries, next } = await openOwn(c).auditSearch(query)
  return c.json({ object: 'list', data: entries, next })
}

async function showCheckpoint(c: AppContext): Promise<Response> {
  const { note, size, root } = await openOwn(c).signedCheckpoint()
  if (c.req.header('accept')?.startsWith('text/plain')) return c.text(note)
  return c.json({ checkpoint: note, size, root })
}

async function proveInclusion(c: AppContext): Promise<Response> {
  const leaf = parseBody(InclusionQuery, c.req.query())
  return c.json({ proof: await openOwn(c).auditInclusion(leaf) })
}

async function proveConsistency(c: AppContext): Promise<Response> {
  const sizes = parseBody(ConsistencyQuery, c.req.query())
  return c.json({ proof: await openOwn(c).auditConsistency(sizes) })
}

async function bundleRange(c: AppContext): Promise<Response> {
  const { from: start, to: end } = parseBody(BundleQuery, c.req.query())
  const tenant = openOwn(c)
  const size = await sizeOf(tenant)
  const most = LIMITS.auditBundleEntries
  const from = start ?? Math.max(0, (end ?? size) - most)
  const to = end ?? Math.min(size, from + most)
  const { env, var: variables } = c
  const source = { env, config: variables.config, tenant: variables.caller.tenant }
  const bundle = await collectBundle(source, { from, to })
  await tenant.recordExport({ format: 'bundle', from, to, by: variables.caller.keyId })
  return c.json(bundle)
}

async function bundleJob(c: AppContext): Promise<Response> {
  const jobId = AskedJobId.safeParse(c.req.param('id'))
  if (!jobId.success) throw new AppError('not_found', 'Proofs are of single jobs: job_<32 hex>.')
  const { config, caller } = c.var
  const source = { env: c.env, config, tenant: caller.tenant }
  return c.json(await collectBundle(source, { jobId: jobId.data }))
}

/** Streamed page by page, so that a long log needs no memory; the export itself is logged first. */
async function exportEvents(c: AppContext): Promise<Response> {
  const { format, from, to: end } = parseBody(ExportQuery, c.req.query())
  const tenant = openOwn(c)
  const size = await sizeOf(tenant)
  const to = Math.min(end ?? size, size, from + LIMITS.auditExportEntries)
  await tenant.recordExport({ format, from, to, by: c.var.caller.keyId })
  const line = format === 'csv' ? toCsvLine : toJsonLine
  const body = streamLines(tenant, { from, to, head: format === 'csv' ? CSV_HEAD : '', line })
  return new Response(body, {
    headers: {
      'content-type': format === 'csv' ? 'text/csv; charset=utf-8' : 'application/x-ndjson',
      'content-disposition': `attachment; filename="audit-${from}-${to}.${format}"`,
      'cache-control': 'no-store',
    },
  })
}

interface Lines {
  readonly from: number
  readonly to: number
  readonly head: string
  readonly line: (entry: LogEntry) => string
}

function streamLines(
  tenant: Pick<TenantApi, 'auditRange'>,
  { from, to, head, line }: Lines,
): ReadableStream<Uint8Array> {
  const encoder = new TextEncoder()
  let at = from
  return new ReadableStream<Uint8Array>({
    start(controller) {
      if (head !== '') controller.enqueue(encoder.encode(head))
    },
    async pull(controller) {
      const page = at < to ? await tenant.auditRange(at, to) : []
      if (page.length === 0) return controller.close()
      at += page.length
      controller.enqueue(encoder.encode(page.map(line).join('')))
    },
  })
}

async function sizeOf(tenant: Pick<TenantApi, 'logCheckpoint'>): Promise<number> {
  return (await tenant.logCheckpoint())?.size ?? 0
}

function openOwn(c: AppContext): TenantApi {
  return openTenant(c.env, c.var.caller.tenant, c.var.config)
}
