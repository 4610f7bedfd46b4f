/** Serves the built page with the Worker's headers, and the API routes of a test. */
import { createReadStream, existsSync, statSync } from 'node:fs'
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http'
import { extname, join, normalize } from 'node:path'
import { listen, type Listening } from '#test/support/listen.ts'

export type Route = (request: IncomingMessage, response: ServerResponse, body: string) => void

export interface PageServer extends Listening {
  /** Answers by `METHOD /path`; other paths answer 404. */
  readonly routes: Map<string, Route>
  /** Bodies of the requests to routes, in order, as `METHOD /path body`. */
  readonly requests: string[]
  /** Violations of the content policy that the browser reported. */
  readonly violations: string[]
}

const TYPES: Readonly<Record<string, string>> = {
  '.html': 'text/html; charset=utf-8',
  '.js': 'text/javascript; charset=utf-8',
  '.mjs': 'text/javascript; charset=utf-8',
  '.css': 'text/css; charset=utf-8',
  '.svg': 'image/svg+xml',
  '.wasm': 'application/wasm',
}

/** At least as strict as the Worker's: no inline script or style, no eval, workers and images of this origin only. */
const CONTENT_SECURITY_POLICY = [
  "default-src 'none'",
  "script-src 'self' 'wasm-unsafe-eval'",
  "style-src 'self'",
  "img-src 'self'",
  "worker-src 'self'",
  "connect-src 'self' ws: wss:",
  "base-uri 'none'",
  "form-action 'none'",
  "frame-ancestors 'none'",
  // Receives the violations of page and workers; the console shows only some.
  'report-uri /violations',
].join('; ')

/** @param pagesDir holds `contribute/index.html` and `models/` */
export async function startPageServer(pagesDir: string): Promise<PageServer> {
  const routes = new Map<string, Route>()
  const requests: string[] = []
  const violations: string[] = []
  const takeViolation: Route = (_request, response, body) => {
    violations.push(body)
    response.writeHead(204).end()
  }
  const server = createServer((request, response) => {
    const { pathname } = new URL(request.url ?? '/', 'http://localhost')
    const key = `${request.method ?? 'GET'} ${pathname}`
    const route = key === 'POST /violations' ? takeViolation : routes.get(key)
    if (route === undefined) return sendFile(join(pagesDir, fileOf(pathname)), response)
    let body = ''
    request.setEncoding('utf8').on('data', (text: string) => (body += text))
    request.on('end', () => {
      requests.push(`${key} ${body}`.trim())
      route(request, response, body)
    })
  })
  return { ...(await listen(server)), routes, requests, violations }
}

function fileOf(pathname: string): string {
  return pathname === '/contribute' ? 'contribute/index.html' : normalize(pathname)
}

function sendFile(file: string, response: ServerResponse): void {
  if (!existsSync(file) || !statSync(file).isFile()) {
    response.writeHead(404).end()
    return
  }
  response.writeHead(200, {
    'content-type': TYPES[extname(file)] ?? 'application/octet-stream',
    'content-security-policy': CONTENT_SECURITY_POLICY,
    'cross-origin-opener-policy': 'same-origin',
    'cross-origin-embedder-policy': 'require-corp',
    'cross-origin-resource-policy': 'same-origin',
  })
  createReadStream(file).pipe(response)
}
