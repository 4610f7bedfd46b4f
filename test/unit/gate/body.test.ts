/** Bounds on a request's body: size, time and memory. */
import fc from 'fast-check'
import { Hono } from 'hono'
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest'
import { toAppError } from '#shared/base/errors.ts'
import { LIMITS } from '#shared/base/limits.ts'
import { refusal } from '#test/support/engine/text-requests.ts'
import { BODY_ROOM } from '#worker/gate/body-room.ts'
import type { AppEnv } from '#worker/gate/context.ts'
import { createIsolate } from '#worker/isolate.ts'
import { readJson, BODY_STALL_MS, BODY_MS } from '#worker/gate/body.ts'
import { parseJson } from '#worker/body/parse-json.ts'

type Body = string | Uint8Array<ArrayBuffer> | ReadableStream<Uint8Array>

/** Reads bodies in one isolate, and returns the resulting code. */
function createReader(limitBytes = 10) {
  const isolate = createIsolate()
  return async (
    body: Body,
    headers: Record<string, string> = {},
    keyId: string | undefined = 'key_a',
  ): Promise<string> => {
    const app = new Hono<AppEnv>().post('/', async (c) => {
      c.set('isolate', isolate)
      c.set('config', { deployment: 'any' } as never)
      c.set('answerHeaders', new Map())
      if (keyId !== '') c.set('caller', { keyId } as never)
      await readJson(c, limitBytes)
      return c.text('read')
    })
    app.onError((error, c) => c.text(toAppError(error).code))
    const typed = { 'content-type': 'application/json', ...headers }
    const init = { method: 'POST', body, headers: typed, duplex: 'half' as const }
    return (await app.request('http://edge.test/', init)).text()
  }
}

const silent = () => new ReadableStream<Uint8Array>({ pull: () => new Promise(() => {}) })

describe('[H1] reading a body', () => {
  it('stops at the bound, declared or not', async () => {
    const read = createReader()
    expect(await read('{"a":1}')).toBe('read')
    expect(await read('{"a":123456}')).toBe('too_large')
    const endless = new ReadableStream({ pull: (out) => out.enqueue(new Uint8Array(4)) })
    expect(await read(endless)).toBe('too_large')
    expect(await read('{}', { 'content-length': '1000' })).toBe('too_large')
  })

  it.each(['1000000000000000000', '1e400', 'many'])(
    'judges a declared length of %s before anything has come',
    async (length) => {
      expect(await createReader()(silent(), { 'content-length': length })).toBe('too_large')
    },
  )

  it('refuses what is not JSON in UTF-8', async () => {
    const read = createReader()
    expect(await read('{"a":')).toBe('invalid_request')
    expect(await read(new Uint8Array([0x22, 0xff, 0x22]))).toBe('invalid_request')
    expect(await read('')).toBe('invalid_request')
  })

  it.each([
    ['{"a":1,"a":1}', '/a'],
    ['{"a":1,"\\u0061" : 2}', '/a'],
    ['[0,[1,2],{"b":"{\\"}"},{"b":{},"c":[{}],"c":0}]', '/3/c'],
    ['{"x/y":{"a":[{"a":1},{"a":{"a":1,"b":"a","a":2}}]}}', '/x~1y/a/1/a/a'],
    ['{"residency":{"allow":["DE"]},"b":"residency","residency":{"allow":["EU"]}}', '/residency'],
  ])('refuses a duplicate member: %s', (text, pointer) => {
    const { pointers } = refusal(() => parseJson(new TextEncoder().encode(text)))
    expect(pointers).toEqual([pointer])
  })

  it('agrees with JSON.parse on texts without duplicate members', () => {
    fc.assert(
      fc.property(fc.json(), (text) => {
        expect(parseJson(new TextEncoder().encode(text))).toEqual(JSON.parse(text))
      }),
      { seed: 5, numRuns: 500 },
    )
    const names = '[{"a":1},{"a":{"a":["a","a"],"b":"\\"a\\":1,\\"a\\":1"}},"a","a"]'
    expect(parseJson(new TextEncoder().encode(names))).toEqual(JSON.parse(names))
  })

  it('refuses a body that breaks off, declared or not', async () => {
    const broken = () => new ReadableStream({ pull: (out) => out.error(new Error('bad chunk')) })
    expect(await createReader()(broken())).toBe('invalid_request')
    expect(await createReader()(broken(), { 'content-length': '5' })).toBe('invalid_request')
  })

  it('refuses a body that is longer than it says', async () => {
    expect(await createReader()('{"a":1}', { 'content-length': '2' })).toBe('too_large')
  })

  it.each(['gzip', 'br', 'GZIP', 'zstd', 'identity, gzip'])(
    'refuses the content coding %s by its name',
    async (coding) => {
      const read = createReader()
      expect(await read('{}', { 'content-encoding': coding })).toBe('unsupported_media_type')
      expect(await read('{}', { 'content-encoding': 'identity' })).toBe('read')
    },
  )

  it.each(['utf-16', 'iso-8859-1', '"UTF-16LE"', 'utf-8;charset=latin1'])(
    'refuses the character set %s by its name',
    async (charset) => {
      const read = createReader()
      const typed = (value: string) => ({ 'content-type': `application/json; charset=${value}` })
      expect(await read('{}', typed(charset))).toBe('unsupported_media_type')
      for (const known of ['utf-8', '"UTF-8"', 'utf8', 'us-ascii'])
        expect(await read('{}', typed(known))).toBe('read')
    },
  )
})

describe('the declared type of a body', () => {
  it.each([
    ['text/plain', 'unsupported_media_type'],
    ['text/plain;charset=UTF-8', 'unsupported_media_type'],
    ['multipart/form-data; boundary=x', 'unsupported_media_type'],
    ['text/xml', 'unsupported_media_type'],
    ['application/json', 'read'],
    ['Application/JSON; charset=utf-8', 'read'],
    ['application/vnd.api+json', 'read'],
    ['application/octet-stream', 'read'],
    ['application/x-www-form-urlencoded', 'read'],
    ['', 'read'],
  ])('of "%s" leads to %s', async (type, outcome) => {
    expect(await createReader()('{}', { 'content-type': type })).toBe(outcome)
  })
})

describe('[H2] the time of a body', () => {
  beforeEach(() => {
    vi.useFakeTimers()
  })
  afterEach(() => {
    vi.useRealTimers()
  })

  it('ends when nothing more arrives', async () => {
    const code = createReader()(silent())
    await vi.advanceTimersByTimeAsync(BODY_STALL_MS)
    expect(await code).toBe('request_timeout')
  })

  it('ends for a small declared body, which is read at once', async () => {
    const code = createReader()(silent(), { 'content-length': '5' })
    await vi.advanceTimersByTimeAsync(BODY_STALL_MS)
    expect(await code).toBe('request_timeout')
  })

  it('ends for a body that arrives byte by byte', async () => {
    const read = createReader(1_000_000)
    let code: string | undefined
    const drop = async (out: ReadableStreamDefaultController<Uint8Array>) => {
      await new Promise((resolve) => setTimeout(resolve, BODY_STALL_MS / 2))
      if (code === undefined) out.enqueue(new Uint8Array(1))
    }
    void read(new ReadableStream({ pull: drop })).then((ended) => (code = ended))
    await vi.advanceTimersByTimeAsync(BODY_MS - BODY_STALL_MS)
    expect(code).toBeUndefined()
    await vi.advanceTimersByTimeAsync(BODY_STALL_MS)
    expect(code).toBe('request_timeout')
  })
})

describe('[H2] the memory of unfinished bodies', () => {
  /** Opens bodies that pause after their first part, until one is refused. */
  async function fill(read: ReturnType<typeof createReader>, keyId: string, partBytes: number) {
    for (let count = 0; count < 10_000; count += 1) {
      const part = new Uint8Array(partBytes).fill(0x20)
      const body = new ReadableStream<Uint8Array>({ start: (out) => out.enqueue(part) })
      const code = await Promise.race([read(body, {}, keyId), turns(20)])
      if (code !== undefined) return { code, heldBytes: count * partBytes }
    }
    return { code: 'none', heldBytes: Infinity }
  }

  async function turns(count: number): Promise<undefined> {
    for (let i = 0; i < count; i += 1) await new Promise((resolve) => setImmediate(resolve))
  }

  it('is bounded for each key, and one full key blocks no other', async () => {
    const read = createReader(LIMITS.requestBodyBytes)
    const full = await fill(read, 'key_a', 8 * 1024 * 1024)
    expect(full.code).toBe('rate_limited')
    expect(full.heldBytes).toBeLessThanOrEqual(BODY_ROOM.keyBytes)
    expect(await read('{}', {}, 'key_a')).toBe('read')
    expect(await read('{}', {}, 'key_b')).toBe('read')
  })

  it('is bounded for an address without a key, by bytes and by open bodies', async () => {
    const read = createReader()
    const full = await fill(read, '', 1)
    expect(full.code).toBe('rate_limited')
    expect(full.heldBytes * BODY_ROOM.leastBytes).toBeLessThanOrEqual(BODY_ROOM.strangerBytes)
    expect(await read('{}', {}, '')).toBe('rate_limited')
    expect(await read('{}', {}, 'key_a')).toBe('read')
  })

  it('is free again once a body has been read', async () => {
    const read = createReader()
    for (let i = 0; i < 2 * (BODY_ROOM.strangerBytes / BODY_ROOM.leastBytes); i += 1) {
      expect(await read('{}', {}, '')).toBe('read')
    }
  })
})
