/** Server-sent events: form, pace, and end. */
import { describe, expect, it } from 'vitest'
import { AppError } from '#shared/base/errors.ts'
import { writeEvents } from '#worker/http/sse.ts'

interface Read {
  readonly events: string[]
  readonly comments: string[]
}

function write(events: AsyncIterable<object>, options: { heartbeatMs?: number } = {}) {
  const errors: unknown[] = []
  const stream = writeEvents(events, {
    requestId: 'req_12345678',
    heartbeatMs: options.heartbeatMs ?? 60_000,
    onError: (error) => errors.push(error),
  })
  return { stream, errors }
}

/** Parses like the standard: an empty line ends an event. */
async function read(stream: ReadableStream<Uint8Array>): Promise<Read> {
  const seen: Read = { events: [], comments: [] }
  const lines = (await new Response(stream).text()).split(/\r\n|\n|\r/)
  let data: string[] = []
  for (const line of lines) {
    if (line.startsWith(':')) seen.comments.push(line)
    else if (line.startsWith('data: ')) data.push(line.slice('data: '.length))
    else if (line !== '') throw new Error(`no field of an event: ${line}`)
    else if (data.length > 0) seen.events.push(data.join('\n'))
    if (line === '') data = []
  }
  expect(data).toEqual([])
  return seen
}

async function* from(...items: (object | Error)[]): AsyncGenerator<object> {
  for (const item of items) {
    if (item instanceof Error) throw item
    yield await Promise.resolve(item)
  }
}

describe('an event stream', () => {
  it('has one data line for each event, and ends with [DONE]', async () => {
    const items = [{ text: 'a\nb\r\n\n' }, { text: 'data: [DONE]' }, { text: '水\u2028' }]
    const { events } = await read(write(from(...items)).stream)
    expect(events.slice(0, -1).map((event) => JSON.parse(event) as unknown)).toEqual(items)
    expect(events.at(-1)).toBe('[DONE]')
  })

  it('[O5] ends with the error in OpenAI’s form, and without [DONE], when something fails after it began', async () => {
    const lost = new AppError('node_lost', 'The node went away.')
    const { stream, errors } = write(from({ n: 1 }, lost, { n: 2 }))
    const { events } = await read(stream)
    expect(events.map((event) => JSON.parse(event) as unknown)).toEqual([
      { n: 1 },
      {
        error: {
          message: 'The node went away.',
          type: 'server_error',
          code: 'node_lost',
          param: null,
        },
      },
    ])
    expect(errors).toEqual([lost])
  })

  it('reveals nothing about an unexpected error', async () => {
    const { stream } = write(from(new TypeError('secret is undefined')))
    const { events } = await read(stream)
    expect(events).toHaveLength(1)
    expect(events[0]).not.toContain('secret')
    expect(JSON.parse(events[0] ?? '')).toMatchObject({ error: { code: 'internal' } })
  })

  it('sends heartbeats during silence without losing an event', async () => {
    const gate = Promise.withResolvers<void>()
    async function* slow() {
      yield { n: 1 }
      await gate.promise
      yield { n: 2 }
    }
    const reader = write(slow(), { heartbeatMs: 1 }).stream.getReader()
    const next = async () => new TextDecoder().decode((await reader.read()).value)
    expect(await next()).toBe('data: {"n":1}\n\n')
    expect(await next()).toMatch(/^: .*\n\n$/)
    expect(await next()).toMatch(/^: .*\n\n$/)
    gate.resolve()
    const rest = [await next(), await next(), await next()].filter((text) => text[0] !== ':')
    expect(rest.slice(0, 2)).toEqual(['data: {"n":2}\n\n', 'data: [DONE]\n\n'])
  })

  it('[O6] makes no event before its reader wants it', async () => {
    let made = 0
    async function* many() {
      for (;;) yield await Promise.resolve({ n: (made += 1) })
    }
    const reader = write(many()).stream.getReader()
    await new Promise((resolve) => setTimeout(resolve, 20))
    expect(made).toBe(0)
    await reader.read()
    await reader.read()
    await new Promise((resolve) => setTimeout(resolve, 20))
    expect(made).toBe(2)
    await reader.cancel()
  })

  it('releases the source of events when its reader leaves', async () => {
    const left = Promise.withResolvers<string>()
    async function* endless() {
      try {
        for (;;) yield await Promise.resolve({})
      } finally {
        left.resolve('let go')
      }
    }
    const reader = write(endless()).stream.getReader()
    await reader.read()
    await reader.cancel()
    expect(await left.promise).toBe('let go')
  })
})
