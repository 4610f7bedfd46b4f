/** `/v1/audit`: searches, proves, exports and bundles a tenant's log. */
import { Hono } from 'hono'
import { NOT_NARROWED } from '#shared/audit/bundle.ts'
import { createLogSigner } from '#shared/audit/checkpoint.ts'
import { AppError } from '#shared/base/errors.ts'
import { Bytes32 } from '#shared/base/ids.ts'
import { bundleText, openBundle, type BundleSource } from './collect-bundle.ts'
import { callerOf, ownTenant, type AppContext, type AppEnv } from '#worker/gate/context.ts'
import { AskedJobId } from '#worker/body/asked-id.ts'
import {
  BundleRequest,
  ConsistencyQuery,
  ExportRequest,
  InclusionQuery,
  SearchQuery,
  toBundleQuery,
} from './audit.ts'
import { CSV_HEAD, toCsvLine, toJsonLine } from './audit-lines.ts'
import { parseBody } from '#worker/body/faults.ts'
import { requireScope } from '#worker/gate/auth.ts'
import { takesQuery } from '#worker/http/known-names.ts'
import type { TenantApi } from '#worker/protocols/tenant.ts'
import { type BundlePage, AUDIT_PAGE_ENTRIES } from '#worker/protocols/audit.ts'

const auditor = requireScope('audit')
const takes = ({ shape }: { readonly shape: object }) => takesQuery(...Object.keys(shape))

export const auditRoutes = new Hono<AppEnv>()
  .get('/v1/audit/key', showKey)
  .get('/v1/audit/events', auditor, takes(SearchQuery), searchEvents)
  .get('/v1/audit/checkpoint', auditor, showCheckpoint)
  .get('/v1/audit/inclusion', auditor, takes(InclusionQuery), proveInclusion)
  .get('/v1/audit/consistency', auditor, takes(ConsistencyQuery), proveConsistency)
  .get('/v1/audit/export', auditor, takes(ExportRequest), exportEvents)
  .get('/v1/audit/bundle', auditor, takes(BundleRequest), bundleRange)
  .get('/v1/jobs/:id/proof', auditor, bundleJob)

async function showKey(c: AppContext): Promise<Response> {
  const seed = Bytes32.safeParse(c.var.config.logKey)
  if (!seed.success) throw new AppError('not_found', 'This deployment signs no checkpoints.')
  const { publicKey } = await createLogSigner(seed.data)
  return c.json({ algorithm: 'Ed25519', publicKey })
}

async function searchEvents(c: AppContext): Promise<Response> {
  const { type, job, from, to, before, limit } = parseBody(SearchQuery, c.req.query())
  const query = { type, jobId: job, fromMs: from, toMs: to, before, limit }
  const { entries, next } = await ownTenant(c).log.search(query)
  return c.json({ object: 'list', data: entries, next })
}

async function showCheckpoint(c: AppContext): Promise<Response> {
  const { note, size, root } = await ownTenant(c).log.checkpoint()
  if (c.req.header('accept')?.startsWith('text/plain')) return c.text(note)
  return c.json({ checkpoint: note, size, root })
}

async function proveInclusion(c: AppContext): Promise<Response> {
  const leaf = parseBody(InclusionQuery, c.req.query())
  return c.json({ proof: await ownTenant(c).log.inclusion(leaf) })
}

async function proveConsistency(c: AppContext): Promise<Response> {
  const sizes = parseBody(ConsistencyQuery, c.req.query())
  return c.json({ proof: await ownTenant(c).log.consistency(sizes) })
}

async function bundleRange(c: AppContext): Promise<Response> {
  const query = toBundleQuery(parseBody(BundleRequest, c.req.query()))
  const bundle = await openBundle(sourceOf(c), query)
  const { from, to } = bundle.head.range
  await ownTenant(c).log.recordExport({ format: 'bundle', from, to, by: callerOf(c).keyId })
  return streamed(c, bundleText(bundle), {
    type: 'application/json',
    name: `bundle-${from}-${to}.json`,
  })
}

async function bundleJob(c: AppContext): Promise<Response> {
  const jobId = AskedJobId.safeParse(c.req.param('id'))
  if (!jobId.success)
    throw new AppError('not_found', 'Proofs exist for single jobs only: job_<32 hex>.')
  const selection = { ...NOT_NARROWED, job: jobId.data }
  const bundle = await openBundle(sourceOf(c), { from: null, to: null, selection })
  return streamed(c, bundleText(bundle), { type: 'application/json', name: `${jobId.data}.json` })
}

/** Streams page by page, so that a long log needs little memory. The export itself is logged first. */
async function exportEvents(c: AppContext): Promise<Response> {
  const { format, ...asked } = parseBody(ExportRequest, c.req.query())
  const query = toBundleQuery(asked)
  const tenant = ownTenant(c)
  const range = await tenant.bundles.cut(query)
  const { from, to } = range
  await tenant.log.recordExport({ format, from, to, by: callerOf(c).keyId })
  const page = { ...range, selection: query.selection, size: to }
  return streamed(c, exportLines(tenant, page, format), {
    type: format === 'csv' ? 'text/csv; charset=utf-8' : 'application/x-ndjson',
    name: `audit-${from}-${to}.${format}`,
  })
}

async function* exportLines(
  tenant: Pick<TenantApi, 'bundles'>,
  whole: BundlePage,
  format: 'csv' | 'jsonl',
): AsyncGenerator<string> {
  if (format === 'csv') yield CSV_HEAD
  const line = format === 'csv' ? toCsvLine : toJsonLine
  for (let from = whole.from; from < whole.to; from += AUDIT_PAGE_ENTRIES) {
    const to = Math.min(whole.to, from + AUDIT_PAGE_ENTRIES)
    yield (await tenant.bundles.selected({ ...whole, from, to })).map(line).join('')
  }
}

/** Requests the next page when the reader has taken the previous one. A failing page breaks the document off. */
function streamed(
  c: AppContext,
  text: AsyncGenerator<string>,
  { type, name }: { readonly type: string; readonly name: string },
): Response {
  const encoder = new TextEncoder()
  const { requestId } = c.var
  const body = new ReadableStream<Uint8Array>({
    async pull(controller) {
      try {
        const { done, value } = await text.next()
        if (done === true) controller.close()
        else controller.enqueue(encoder.encode(value))
      } catch (cause) {
        c.var.log.error('export.failed', { requestId, name, cause: String(cause) })
        controller.error(cause)
      }
    },
    async cancel() {
      await text.return(undefined)
    },
  })
  return new Response(body, {
    headers: {
      'content-type': type,
      'content-disposition': `attachment; filename="${name}"`,
      'cache-control': 'no-store',
    },
  })
}

function sourceOf(c: AppContext): BundleSource {
  return { env: c.env, config: c.var.config, tenant: callerOf(c).tenant }
}
