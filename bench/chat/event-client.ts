/** Times a streamed chat completion: its first text, its end, and its number of tokens. */
import { Agent, request } from 'node:http'
import { z } from 'zod'

export interface StreamTiming {
  readonly tokens: number
  readonly text: string
  readonly firstTokenMs: number
  readonly totalMs: number
  /** Events with text; tokens that were ready at the same time share one. */
  readonly events: number
}

export interface EventClient {
  /** @throws {Error} for any status but 200, or when the stream does not end in order */
  stream(path: string, body: object): Promise<StreamTiming>
  close(): void
}

const TIMEOUT_MS = 120_000
const DONE = '[DONE]'

const Chunk = z.looseObject({
  choices: z.array(
    z.looseObject({ delta: z.looseObject({ content: z.string().optional() }).optional() }),
  ),
  usage: z.looseObject({ completion_tokens: z.int() }).nullish(),
})

export function createEventClient(url: string, apiKey: string): EventClient {
  const { hostname, port } = new URL(url)
  const agent = new Agent({ keepAlive: true, maxSockets: 1 })
  const headers = { authorization: `Bearer ${apiKey}`, 'content-type': 'application/json' }
  return {
    async stream(path, body) {
      const { promise, resolve, reject } = Promise.withResolvers<StreamTiming>()
      const bytes = JSON.stringify(body)
      const startedMs = performance.now()
      const outgoing = request(
        {
          hostname,
          port,
          agent,
          method: 'POST',
          path,
          headers: { ...headers, 'content-length': Buffer.byteLength(bytes) },
          timeout: TIMEOUT_MS,
        },
        (incoming) => {
          if (incoming.statusCode === 200) read(incoming, startedMs).then(resolve, reject)
          else reject(new Error(`POST ${path} answered ${incoming.statusCode}`))
        },
      )
      outgoing.on('error', reject)
      outgoing.on('timeout', () => outgoing.destroy(new Error(`no answer in ${TIMEOUT_MS} ms`)))
      outgoing.end(bytes)
      return await promise
    },
    close: () => agent.destroy(),
  }
}

async function read(incoming: AsyncIterable<Uint8Array>, startedMs: number): Promise<StreamTiming> {
  const decoder = new TextDecoder()
  let firstTokenMs: number | undefined
  let rest = ''
  let text = ''
  let events = 0
  let tokens: number | undefined
  let isDone = false
  for await (const piece of incoming) {
    const lines = (rest + decoder.decode(piece, { stream: true })).split('\n\n')
    rest = lines.pop() ?? ''
    for (const line of lines) {
      const data = line.replace(/^data: /, '')
      if (line.startsWith(':')) continue
      if (data === DONE) {
        isDone = true
        continue
      }
      const { choices, usage } = Chunk.parse(JSON.parse(data))
      const content = choices[0]?.delta?.content ?? ''
      if (content !== '') firstTokenMs ??= performance.now() - startedMs
      if (content !== '') events += 1
      text += content
      tokens = usage?.completion_tokens ?? tokens
    }
  }
  if (!isDone || tokens === undefined || firstTokenMs === undefined)
    throw new Error('the stream did not end in order')
  return { tokens, text, firstTokenMs, totalMs: performance.now() - startedMs, events }
}
