/** A cheap HTTP client that keeps its connections: node:http, one socket for each request in flight. */
import { Agent, request, type IncomingHttpHeaders } from 'node:http'
import { text } from 'node:stream/consumers'

export interface HttpCall {
  readonly method: 'GET' | 'POST'
  readonly path: string
  readonly headers?: Readonly<Record<string, string>>
  readonly body?: string
}

export interface HttpReply {
  readonly headers: IncomingHttpHeaders
  readonly body: string
}

export interface HttpClient {
  /** @throws {Error} for any status but 200: a failed request ends the bench */
  send(call: HttpCall): Promise<HttpReply>
  close(): void
}

const TIMEOUT_MS = 60_000

export function createHttpClient(url: string, sockets: number): HttpClient {
  const { hostname, port } = new URL(url)
  const agent = new Agent({ keepAlive: true, maxSockets: sockets })
  return {
    async send({ method, path, headers = {}, body }) {
      const { promise, resolve, reject } = Promise.withResolvers<HttpReply>()
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
        (incoming) => {
          text(incoming).then((received) => {
            if (incoming.statusCode === 200) resolve({ headers: incoming.headers, body: received })
            else reject(new Error(`${method} ${path} answered ${incoming.statusCode}: ${received}`))
          }, reject)
        },
      )
      outgoing.on('error', reject)
      outgoing.on('timeout', () => outgoing.destroy(new Error(`no answer in ${TIMEOUT_MS} ms`)))
      outgoing.end(body)
      return promise
    },
    close: () => agent.destroy(),
  }
}
