/** Times a streamed chat completion: its first text, its end, and its number of tokens. */
import { z } from 'zod'
import type { HttpCall, HttpClient } from '../harness/http-client.ts'

export interface StreamTiming {
  readonly tokens: number
  readonly firstTokenMs: number
  readonly totalMs: number
  /** Events with text; tokens that were ready at the same time share one. */
  readonly events: number
}

const DONE = '[DONE]'

const Chunk = z.looseObject({
  choices: z.array(
    z.looseObject({ delta: z.looseObject({ content: z.string().optional() }).optional() }),
  ),
  usage: z.looseObject({ completion_tokens: z.int() }).nullish(),
})

/** @throws {Error} for any status but 200, or when the stream does not end in order */
export async function timeStream(client: HttpClient, call: HttpCall): Promise<StreamTiming> {
  const startedMs = performance.now()
  const decoder = new TextDecoder()
  let firstTokenMs: number | undefined
  let rest = ''
  let events = 0
  let tokens: number | undefined
  let isDone = false
  for await (const piece of await client.open(call)) {
    const lines = (rest + decoder.decode(piece as Uint8Array, { stream: true })).split('\n\n')
    rest = lines.pop() ?? ''
    for (const line of lines) {
      const data = line.replace(/^data: /, '')
      if (data === DONE) isDone = true
      if (line.startsWith(':') || data === DONE) continue
      const { choices, usage } = Chunk.parse(JSON.parse(data))
      tokens = usage?.completion_tokens ?? tokens
      if ((choices[0]?.delta?.content ?? '') === '') continue
      firstTokenMs ??= performance.now() - startedMs
      events += 1
    }
  }
  if (!isDone || tokens === undefined || firstTokenMs === undefined)
    throw new Error('the stream did not end in order')
  return { tokens, firstTokenMs, totalMs: performance.now() - startedMs, events }
}
