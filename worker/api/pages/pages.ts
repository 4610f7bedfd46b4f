/** Serves static pages and model files, with types and headers that a bare disk service lacks. */
import { Hono } from 'hono'
import { AppError } from '#shared/base/errors.ts'
import { MANIFESTS } from '#shared/job/manifests.ts'
import { sourceOrigins } from '#shared/job/model-source.ts'
import { parseRange, sliceBody } from './byte-range.ts'
import type { AppContext, AppEnv } from '#worker/gate/context.ts'
import { readPublicChain } from '#worker/platform/public-chain.ts'

const CONTENT_TYPES: Readonly<Record<string, string>> = {
  html: 'text/html; charset=utf-8',
  js: 'text/javascript; charset=utf-8',
  mjs: 'text/javascript; charset=utf-8',
  css: 'text/css; charset=utf-8',
  json: 'application/json',
  wasm: 'application/wasm',
  svg: 'image/svg+xml',
  png: 'image/png',
  ico: 'image/x-icon',
  woff2: 'font/woff2',
  gz: 'application/gzip',
  txt: 'text/plain; charset=utf-8',
  map: 'application/json',
}

/** Origin of model files that are too large for the operator's own pages. */
const MODEL_ORIGINS = sourceOrigins(
  MANIFESTS.flatMap(({ files }) => files.flatMap(({ sources }) => sources)),
)
  .map((origin) => ` ${origin}`)
  .join('')

const YEAR = 'public, max-age=31536000, immutable'

export const pageRoutes = new Hono<AppEnv>()
  .get('/', (c) =>
    c.req.header('accept')?.includes('text/html') === true
      ? c.redirect('/contribute')
      : c.json({
          name: 'littoral',
          contribute: '/contribute',
          docs: '/docs',
          compliance: '/compliance',
          openapi: '/openapi.json',
          api: '/v2',
        }),
  )
  .get('/favicon.ico', (c) => serveFile(c, 'docs/mark.svg', 'public, max-age=86400'))
  .get('/openapi.json', (c) => serveFile(c, 'openapi.json', 'no-cache'))
  .get('/contribute', (c) => serveFile(c, 'contribute/index.html', 'no-cache'))
  .get('/contribute/', (c) => c.redirect('/contribute'))
  .get('/contribute/*', (c) => serveFile(c, c.req.path.slice(1), YEAR))
  .get('/docs', (c) => serveFile(c, 'docs/index.html', 'no-cache'))
  .get('/docs/', (c) => c.redirect('/docs'))
  .get('/docs/*', (c) => {
    const path = c.req.path.slice(1)
    return serveFile(c, path, /\d\.(js|css)$/.test(path) ? YEAR : 'no-cache')
  })
  .get('/compliance', (c) => serveFile(c, 'compliance/index.html', 'no-cache'))
  .get('/compliance/', (c) => c.redirect('/compliance'))
  .get('/compliance/*', (c) => serveFile(c, c.req.path.slice(1), YEAR))
  .get('/models/:sha256{0x[0-9a-f]{64}}', serveModelFile)

/** Serves a file by its hash, which is also its entity tag; it never changes and supports ranges. */
async function serveModelFile(c: AppContext): Promise<Response> {
  const whole = await serveFile(c, c.req.path.slice(1), YEAR)
  const { headers, body } = whole
  headers.set('etag', `"${c.req.param('sha256')}"`)
  const sizeBytes = Number(headers.get('content-length') ?? Number.NaN)
  if (body === null || !Number.isSafeInteger(sizeBytes)) return whole
  headers.set('accept-ranges', 'bytes')
  const range = parseRange(c.req.header('range'), sizeBytes)
  if (range === undefined) return whole
  if (range === null) {
    await body.cancel()
    return new Response(null, { status: 416, headers: { 'content-range': `bytes */${sizeBytes}` } })
  }
  headers.set('content-range', `bytes ${range.start}-${range.end - 1}/${sizeBytes}`)
  headers.set('content-length', String(range.end - range.start))
  return new Response(sliceBody(body, range), { status: 206, headers })
}

async function serveFile(c: AppContext, path: string, cacheControl: string): Promise<Response> {
  const asset = await c.env.ASSETS.fetch(`http://assets/${path}`)
  if (asset.status !== 200 || isListing(asset, path)) {
    throw new AppError('not_found', `There is no ${c.req.path}.`)
  }
  const extension = /\.([a-z0-9]+)$/.exec(path)?.[1] ?? ''
  const headers = new Headers({
    'content-type': CONTENT_TYPES[extension] ?? 'application/octet-stream',
    'cache-control': cacheControl,
    'content-security-policy': contentSecurityPolicy(c),
    'cross-origin-opener-policy': 'same-origin',
    'cross-origin-embedder-policy': 'require-corp',
    'cross-origin-resource-policy': 'same-origin',
    'referrer-policy': 'no-referrer',
    'permissions-policy': 'camera=(), microphone=(), geolocation=()',
  })
  const length = asset.headers.get('content-length')
  if (length !== null) headers.set('content-length', length)
  return new Response(asset.body, { headers })
}

/** A bare disk service would answer a folder with a JSON listing. */
function isListing(asset: Response, path: string): boolean {
  return asset.headers.get('content-type') === 'application/json' && !path.endsWith('.json')
}

/** Allows only own code and own connections. */
function contentSecurityPolicy(c: AppContext): string {
  const { path } = c.req
  return [
    "default-src 'self'",
    ...(path.startsWith('/compliance') ? consoleSources(c) : nodeSources(c)),
    "img-src 'self'",
    "object-src 'none'",
    "base-uri 'none'",
    "form-action 'none'",
    "frame-ancestors 'none'",
  ].join('; ')
}

/** A page with a tenant's key may connect to this origin and to the public chain endpoint. */
function consoleSources(c: AppContext): string[] {
  const rpc = readPublicChain(c.env)?.rpc
  const chain = rpc === null || rpc === undefined ? '' : ` ${new URL(rpc).origin}`
  return ["script-src 'self'", "worker-src 'none'", `connect-src 'self'${chain}`]
}

/** `wasm-unsafe-eval` only lets ONNX Runtime compile its wasm. */
function nodeSources(c: AppContext): string[] {
  const { host } = new URL(c.req.url)
  return [
    "script-src 'self' 'wasm-unsafe-eval'",
    "worker-src 'self'",
    `connect-src 'self' ws://${host} wss://${host}${dialOrigin(c.var.config.hubAddress)}${MODEL_ORIGINS}`,
  ]
}

/** The hubs' origin if different: `/dns4/hub.example/tcp/443/tls/ws` → ` wss://hub.example:443`. */
function dialOrigin(hubAddress: string): string {
  const match = /^\/(?:ip4|ip6|dns[46]?)\/([^/]+)\/tcp\/(\d+)(\/tls)?\/ws/.exec(hubAddress)
  return match === null ? '' : ` ${match[3] ? 'wss' : 'ws'}://${match[1]}:${match[2]}`
}
