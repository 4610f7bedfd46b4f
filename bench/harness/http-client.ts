/** A cheap HTTP client that keeps its connections: node:http, one socket for each request in flight. */
import { Agent, request, type IncomingHttpHeaders, type IncomingMessage } from 'node:http'
import { text } from 'node:stream/consumers'

export interface HttpCall {
  readonly method: 'GET' | 'POST'
  readonly path: string
  readonly headers?: Readonly<Record<string, string>>
  readonly body?: string | Uint8Array
}

export interface HttpReply {
  readonly headers: IncomingHttpHeaders
  readonly body: string
}

export interface HttpClient {
  /** @throws {Error} for any status but 200: a failed request ends the bench */
  send(call: HttpCall): Promise<HttpReply>
  /** The same, with the answer as it arrives. */
  open(call: HttpCall): Promise<IncomingMessage>
  close(): void
}

const TIMEOUT_MS = 120_000

export function createHttpClient(url: string, sockets: number): HttpClient {
  const { hostname, port } = new URL(url)
  const agent = new Agent({ keepAlive: true, maxSockets: sockets })
  const open = async ({ method, path, headers = {}, body }: HttpCall) => {
    const { promise, resolve, reject } = Promise.withResolvers<IncomingMessage>()
    const length = body === undefined ? {} : { 'content-length': Buffer.byteLength(body) }
    const outgoing = request(
      {
        hostname,
        port,
        agent,
        method,
        path,
        headers: { ...headers, ...length },
        timeout: TIMEOUT_MS,
      },
      resolve,
    )
    outgoing.on('error', reject)
    outgoing.on('timeout', () => outgoing.destroy(new Error(`no answer in ${TIMEOUT_MS} ms`)))
    outgoing.end(body)
    const incoming = await promise
    if (incoming.statusCode === 200) return incoming
    throw new Error(`${method} ${path} answered ${incoming.statusCode}: ${await text(incoming)}`)
  }
  return {
    open,
    async send(call) {
      const incoming = await open(call)
      return { headers: incoming.headers, body: await text(incoming) }
    },
    close: () => agent.destroy(),
  }
}
