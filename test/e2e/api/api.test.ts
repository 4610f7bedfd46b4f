/** The HTTP API in plain workerd, production build, without any node: authentication, refusals, and their form. */
import { mkdir, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { gzipSync } from 'node:zlib'
import OpenAI from 'openai'
import { beforeAll, describe, expect, it } from 'vitest'
import { LIMITS } from '#shared/base/limits.ts'
import { readExposition } from '#test/support/prometheus.ts'
import {
  OPERATOR_KEY,
  type CallOptions,
  type Reply,
  useWorker,
} from '#test/support/stack/worker.ts'
import { computeRequest } from '#test/support/compute-request.ts'
import { problem } from '#test/support/stack/problem.ts'
import { KeysReply } from '#shared/api/keys.ts'
import { LiveReply, ModelReply, ModelsReply, ServerReply } from '#shared/api/models.ts'
import { EarningsReply, NetworkNodesReply, NetworkReply, ReadyReply } from '#shared/api/network.ts'
import { PoliciesReply } from '#shared/api/policies.ts'

const MODEL = 'littoral-embed-400k'
const COMPUTE = computeRequest('@compute @workgroup_size(1) fn main() {}')

const worker = useWorker('production')
let key: string
let readerKey: string

beforeAll(async () => {
  const { operator } = worker
  key = (await operator.createKey({ tenant: 'acme', scopes: ['infer', 'policy'] })).key
  readerKey = (await operator.createKey({ tenant: 'acme', scopes: ['audit'] })).key
})

const post = (path: string, json: unknown, options: CallOptions = {}) =>
  worker.call('POST', path, { key, json, ...options })
const embed = (json: object, options: CallOptions = {}) =>
  post('/v1/embeddings', { model: MODEL, input: 'a', ...json }, options)

describe('[A1] every answer', () => {
  it.each([
    ['GET', '/v2', ServerReply],
    ['GET', '/v2/health/live', LiveReply],
    ['GET', `/v2/models/${MODEL}`, ModelReply],
    ['GET', '/v1/models', ModelsReply],
    ['GET', '/v1/network', NetworkReply],
    ['GET', '/v1/network/nodes', NetworkNodesReply],
    ['GET', '/v1/policies', PoliciesReply],
    ['GET', `/v1/earnings?x=0x${'1'.repeat(64)}&y=0x${'2'.repeat(64)}`, EarningsReply],
  ] as const)(
    'to %s %s has the shape that is documented, and the common headers',
    async (method, path, schema) => {
      const reply = await worker.call(method, path, { key })
      expect(reply.status).toBe(200)
      expect(schema.parse(reply.body)).toBeTruthy()
      expect(reply.headers.get('x-request-id')).toMatch(/^req_/)
      expect(reply.headers.get('x-littoral-policy')).toBe('none')
      expect(reply.headers.get('server-timing')).toMatch(/^edge;dur=\d/)
    },
  )

  it('to a readiness check names the missing part', async () => {
    const reply = await worker.call('GET', '/v2/health/ready')
    problem(reply, 'no_capacity')
    const { ready, parts } = ReadyReply.parse(reply.body)
    expect(ready).toBe(false)
    expect(Object.entries(parts).filter(([, part]) => !part.ready)).toEqual([
      ['nodes', { ready: false, detail: 'No node is connected.' }],
    ])
  })

  it('to Prometheus has routes as labels and never what a client wrote', async () => {
    await worker.call('GET', '/v2/models/nobody-s-model')
    await worker.call('GET', '/nothing/here')
    const reply = await worker.call('GET', '/metrics')
    expect(reply.headers.get('content-type')).toBe('text/plain; version=0.0.4; charset=utf-8')
    const families = readExposition(String(reply.body))
    const requests = families.get('littoral_http_requests_total')?.samples ?? []
    const routes = requests.map(({ labels }) => labels['route'])
    expect(routes).toContain('/v2/models/:model')
    expect(routes).toContain('other')
    expect(String(reply.body)).not.toContain('nobody-s-model')
    expect(families.get('littoral_ready')?.samples).toContainEqual({
      name: 'littoral_ready',
      labels: { part: 'nodes' },
      value: 0,
    })
  })

  it('to a proxied request for metrics needs the operator’s key', async () => {
    const headers = { 'x-forwarded-for': '127.0.0.1' }
    const ask = (asker?: string) => worker.call('GET', '/metrics', { headers, key: asker })
    problem(await ask(), 'unauthenticated')
    problem(await ask(key), 'unauthenticated')
    expect((await ask(OPERATOR_KEY)).status).toBe(200)
  })

  it("carries the caller's request id when it is fit for a header and a log line", async () => {
    const idOf = async (id: string) =>
      (await worker.call('GET', '/v2', { headers: { 'x-request-id': id } })).headers.get(
        'x-request-id',
      )
    expect(await idOf('meter-4711.retry_2')).toBe('meter-4711.retry_2')
    expect(await idOf('a b"c')).toMatch(/^req_/)
    expect(await idOf('x'.repeat(200))).toMatch(/^req_/)
  })

  it('may be read by pages of any origin, with any header but without credentials', async () => {
    const asked = 'authorization,x-stainless-arch,x-of-tomorrow'
    const origin = 'https://app.example'
    const headers = {
      origin,
      'access-control-request-method': 'POST',
      'access-control-request-headers': asked,
    }
    const preflight = await worker.call('OPTIONS', '/v1/chat/completions', { headers })
    expect(preflight.status).toBe(204)
    expect(preflight.headers.get('access-control-allow-origin')).toBe('*')
    expect(preflight.headers.get('access-control-allow-headers')).toBe(asked)
    expect(preflight.headers.has('access-control-allow-credentials')).toBe(false)
    const reply = await worker.call('GET', '/v2', { headers: { origin } })
    expect(reply.headers.get('access-control-expose-headers')).toBe('*')
  })

  it('to an unknown path is not_found', async () => {
    problem(await worker.call('GET', '/v3/nothing'), 'not_found')
  })

  it('to a wrong method names the allowed ones', async () => {
    for (const [method, path, allow] of [
      ['POST', '/v2', 'GET, HEAD'],
      ['GET', '/v1/embeddings', 'POST'],
      ['PUT', '/v1/keys/key_a', 'DELETE'],
      ['PATCH', '/v1/policies/mine', 'GET, HEAD, PUT'],
      ['POST', '/docs', 'GET, HEAD'],
    ] as const) {
      const reply = await worker.call(method, path)
      problem(reply, 'method_not_allowed')
      expect(reply.headers.get('allow')).toBe(allow)
    }
    expect((await worker.call('HEAD', '/v2')).status).toBe(200)
  })
})

describe('[A2] keys', () => {
  it.each([
    ['no key', undefined],
    ['a word', 'secret'],
    ['a key of an unknown tenant', `lit_nobody_${'0'.repeat(48)}`],
    ['a key that the tenant never had', `lit_acme_${'0'.repeat(48)}`],
    ['a key without its mark', `lit_acme_${'0'.repeat(32)}`],
  ])('%s opens nothing', async (_, wrong) => {
    problem(await embed({}, { key: wrong }), 'unauthenticated')
  })

  it('are refused when wrong, even where none is needed', async () => {
    problem(await worker.call('GET', '/v1/models', { key: 'wrong' }), 'unauthenticated')
  })

  it('open only what they have the scope for', async () => {
    problem(await embed({}, { key: readerKey }), 'forbidden')
    const publish = { key: readerKey, json: { compute: { allow: ['DE'] } } }
    problem(await worker.call('PUT', '/v1/policies/mine', publish), 'forbidden')
    expect((await worker.call('GET', '/v1/policies', { key: readerKey })).status).toBe(200)
  })

  it('stop working once revoked', async () => {
    const { operator } = worker
    const made = await operator.createKey({ tenant: 'brief', scopes: ['infer'] })
    expect((await worker.call('GET', '/v1/policies', { key: made.key })).status).toBe(200)
    await operator.revokeKey(made.id)
    problem(await worker.call('GET', '/v1/policies', { key: made.key }), 'unauthenticated')
  })

  it('are made only by the operator', async () => {
    const json = { tenant: 'thief', scopes: ['admin'] }
    for (const wrong of [undefined, key, 'operator-of-this-tess']) {
      problem(
        await worker.call('POST', '/v1/operator/keys', { key: wrong, json }),
        'unauthenticated',
      )
    }
    problem(await worker.call('GET', '/v1/operator/keys?tenant=acme', { key }), 'unauthenticated')
  })

  it('are listed without their secrets', async () => {
    const reply = await worker.call('GET', '/v1/operator/keys?tenant=acme', {
      key: worker.operator.key,
    })
    expect(KeysReply.parse(reply.body).keys).toHaveLength(2)
    expect(JSON.stringify(reply.body)).not.toContain(key.slice(-32))
  })

  it('survive a crash', async () => {
    await worker.killAndRestart()
    expect((await worker.call('GET', '/v1/policies', { key })).status).toBe(200)
  })
})

describe('[A2] a key', () => {
  it('may follow any number of spaces, and a scheme in any case', async () => {
    for (const authorization of [`Bearer  ${key}`, `bearer    ${key}`]) {
      const reply = await worker.call('GET', '/v1/policies', { headers: { authorization } })
      expect(reply.status).toBe(200)
    }
  })
})

describe('[A3] an invalid request', () => {
  const tensor = { name: 'text', datatype: 'BYTES', shape: [1], data: ['a'] }
  const infer = (input: object) =>
    post(`/v2/models/${MODEL}/infer`, { inputs: [{ ...tensor, ...input }] })

  it('for an unknown model names the known ones', async () => {
    const missing = problem(await embed({ model: 'gpt-5' }), 'model_not_found')
    expect(missing.detail).toContain(MODEL)
    problem(await post('/v2/models/gpt-5/infer', { inputs: [tensor] }), 'model_not_found')
    problem(await worker.call('GET', '/v2/models/gpt-5'), 'model_not_found')
  })

  it('is answered with a pointer to the fault', async () => {
    const pointer = async (reply: Promise<Reply>) =>
      problem(await reply, 'invalid_request').errors?.[0]?.pointer
    expect(await pointer(infer({ data: [null] }))).toBe('/inputs/0/data/0')
    expect(await pointer(embed({ dimensions: 1 }))).toBe('/dimensions')
    expect(await pointer(post('/v1/compute', { ...COMPUTE, buffers: [] }))).toBe('/buffers')
  })

  it('names the fault inside `error` too, as OpenAI writes it', async () => {
    const refused = problem(await embed({ input: ['a', ''] }), 'invalid_request')
    expect(refused.errors?.[0]).toEqual({ pointer: '/input/1', detail: 'is an empty text' })
    expect(refused.error).toMatchObject({ param: 'input[1]' })
  })

  it('in a content coding is refused by name', async () => {
    const headers = { 'content-encoding': 'gzip', 'content-type': 'application/json' }
    const body = new Uint8Array(gzipSync(JSON.stringify({ model: MODEL, input: 'a' })))
    const reply = await worker.call('POST', '/v1/embeddings', { key, body, headers })
    expect(problem(reply, 'unsupported_media_type').detail).toContain('gzip')
    expect(reply.headers.get('accept-encoding')).toBe('identity')
  })

  it("is understood by OpenAI's own client", async () => {
    const client = new OpenAI({ apiKey: key, baseURL: `${worker.workerd.url}/v1`, maxRetries: 0 })
    const error = await client.embeddings.create({ model: 'gpt-5', input: 'a' }).then(
      () => undefined,
      (reason: unknown) => reason,
    )
    expect(error).toBeInstanceOf(OpenAI.NotFoundError)
    expect(error).toMatchObject({
      status: 404,
      code: 'model_not_found',
      type: 'invalid_request_error',
    })
    const stranger = new OpenAI({
      apiKey: 'wrong',
      baseURL: `${worker.workerd.url}/v1`,
      maxRetries: 0,
    })
    await expect(stranger.models.list()).rejects.toBeInstanceOf(OpenAI.AuthenticationError)
  })
})

describe('[H1] an oversized body', () => {
  const chunk = new Uint8Array(1024 * 1024).fill(0x20)

  it('is refused by its declared length', async () => {
    const body = new Uint8Array(LIMITS.requestBodyBytes + 1)
    problem(await worker.call('POST', '/v1/embeddings', { key, body }), 'too_large')
  })

  it('is refused at the bound without a declared length', async () => {
    let sent = 0
    const body = new ReadableStream({
      pull(out) {
        if ((sent += chunk.length) > 4 * LIMITS.requestBodyBytes) out.close()
        else out.enqueue(chunk)
      },
    })
    problem(await worker.call('POST', '/v1/embeddings', { key, body }), 'too_large')
  })

  it('harms nobody else', async () => {
    expect((await worker.call('GET', '/v2/health/live')).status).toBe(200)
    problem(await embed({}), 'no_capacity')
  })
})

describe('receipts', () => {
  it('that do not exist are not found, for any form of id', async () => {
    for (const id of ['1', `0x${'0'.repeat(64)}`]) {
      problem(await worker.call('GET', `/v1/receipts/${id}`, { key }), 'not_found')
    }
  })
})

describe('pages', () => {
  beforeAll(async () => {
    await mkdir(join(worker.assetsDir, 'contribute/assets'), { recursive: true })
    await mkdir(join(worker.assetsDir, 'models'), { recursive: true })
    await writeFile(
      join(worker.assetsDir, 'contribute/index.html'),
      '<!doctype html><title>x</title>',
    )
    await writeFile(join(worker.assetsDir, 'contribute/assets/main.js'), 'export {}')
    await writeFile(join(worker.assetsDir, `models/0x${'a'.repeat(64)}`), 'weights')
  })

  it('have a type and a policy that allows only own code', async () => {
    const page = await worker.call('GET', '/contribute')
    expect(page.status).toBe(200)
    expect(page.headers.get('content-type')).toBe('text/html; charset=utf-8')
    const policy = page.headers.get('content-security-policy') ?? ''
    expect(policy).toContain("script-src 'self' 'wasm-unsafe-eval'")
    expect(policy).toContain("frame-ancestors 'none'")
    expect(policy).not.toMatch(/'unsafe-(inline|eval)'/)
    const script = await worker.call('GET', '/contribute/assets/main.js')
    expect(script.headers.get('content-type')).toBe('text/javascript; charset=utf-8')
    expect(script.headers.get('cache-control')).toContain('immutable')
  })

  it('give model files by their hash', async () => {
    const file = await worker.call('GET', `/models/0x${'a'.repeat(64)}`)
    expect(file.body).toBe('weights')
    expect(file.headers.get('content-length')).toBe('7')
  })

  it.each([
    '/contribute/assets',
    '/contribute/assets/',
    '/contribute/..%2f..%2fdurable-objects',
    '/contribute/nothing.js',
    '/models/weights',
    `/models/0x${'b'.repeat(64)}`,
  ])('show no folder and nothing else: %s', async (path) => {
    problem(await worker.call('GET', path), 'not_found')
  })

  it('are where a browser is sent, and a program is told', async () => {
    const browser = await worker.call('GET', '/', { headers: { accept: 'text/html' } })
    expect([browser.status, browser.headers.get('location')]).toEqual([302, '/contribute'])
    expect((await worker.call('GET', '/')).body).toMatchObject({ name: 'littoral' })
  })
})
