/** Sends misspelt names and malformed HTTP to every route. */
import { beforeAll, describe, expect, it } from 'vitest'
import { problem } from '#test/support/stack/problem.ts'
import { sendRaw } from '#test/support/stack/raw-http.ts'
import { type CallOptions, useWorker } from '#test/support/stack/worker.ts'
import { createApp } from '#worker/app.ts'
import { createIsolate } from '#worker/isolate.ts'

const MODEL = 'littoral-embed-400k'

const worker = useWorker('production')
let key: string

beforeAll(async () => {
  key = (await worker.operator.createKey({ tenant: 'acme', scopes: ['infer'] })).key
})

const embed = (json: object, options: CallOptions = {}) =>
  worker.call('POST', '/v1/embeddings', {
    key,
    json: { model: MODEL, input: 'a', ...json },
    ...options,
  })

describe('[A7] a name that is misspelt', () => {
  const routes = createApp(createIsolate()).routes.filter(
    ({ method, path }) => method !== 'ALL' && /^\/v[12]/.test(path),
  )
  const unique = [...new Set(routes.map(({ method, path }) => `${method} ${path}`))]
  const at = (route: string) => {
    const [method = '', path = ''] = route.split(' ')
    return [method, path.replaceAll(/:\w+/g, MODEL)] as const
  }

  it.each(unique)('is refused in a header and in the query of %s', async (route) => {
    const [method, path] = at(route)
    for (const name of ['x-littoral-residence', 'x-Litoral-Policy', 'x-residency']) {
      const refused = problem(
        await worker.call(method, path, { key, headers: { [name]: 'DE' } }),
        'invalid_request',
      )
      expect(refused.errors?.[0]?.pointer).toBe(`/headers/${name.toLowerCase()}`)
    }
    for (const name of ['Residency', 'polcy', 'frm', 'anything']) {
      const refused = problem(
        await worker.call(method, `${path}?${name}=DE`, { key }),
        'invalid_request',
      )
      expect(refused.errors?.map(({ pointer }) => pointer)).toEqual([`/query/${name}`])
    }
  })

  it.each([
    'policy',
    'residence',
    'x-policy',
    'littoral-residency',
    'x_littoral_residency',
    'x-littoral',
    'x-littoral-internal-session',
    'x-literal-residency',
    'x-littoral-residency-allow',
    'x-data-residency',
    'data-residency',
    'x-residency-allow',
    'residency-deny',
    'x-lit-residency',
    'policy-id',
    'x-compute-policy',
    'x-request-policy-id',
    'x-allowed-regions',
    'x-data-class',
    'x-node-trust',
    'min-evidence',
    'x-deadline-ms',
    'request-deadline',
    'x-idempotency-key',
    'idempotence-key',
  ])('is refused as a header: %s', async (name) => {
    problem(await embed({}, { headers: { [name]: 'DE' } }), 'invalid_request')
  })

  it.each([
    'x-stainless-lang',
    'x-country',
    'referer',
    'cf-region',
    'referrer-policy',
    'permissions-policy',
    'content-security-policy-report-only',
    'cross-origin-embedder-policy',
    'x-permitted-cross-domain-policies',
  ])('is told from a header that is nothing of ours: %s', async (name) => {
    problem(await embed({}, { headers: { [name]: 'DE' } }), 'no_capacity')
  })

  it('is refused where it is said twice, and a reader could take either', async () => {
    const twice = async (text: string) =>
      problem(await worker.call('POST', '/v1/embeddings', { key, body: text }), 'invalid_request')
    const at = ({ errors = [] }: ReturnType<typeof problem>) => errors.map((e) => e.pointer)
    const residencies = '"residency":{"allow":["DE"]},"\\u0072esidency":{"allow":["WORLD"]}'
    expect(at(await twice(`{"model":"${MODEL}","input":"a",${residencies}}`))).toEqual([
      '/residency',
    ])
    const query = await worker.call('GET', '/v1/sessions?residency=DE&residency=WORLD', { key })
    expect(at(problem(query, 'invalid_request'))).toEqual(['/query/residency'])
    const lines = [`authorization: Bearer ${key}`, 'content-type: application/json']
    const both = await sendRaw(
      worker.workerd.url,
      [
        'POST /v1/embeddings HTTP/1.1',
        'host: localhost',
        ...lines,
        'x-littoral-residency: DE',
        'x-littoral-residency: WORLD',
        'content-length: 2',
        '',
        '{}',
      ].join('\r\n'),
    )
    expect(both.status).toBe(400)
    expect(both.body).toContain('/headers/x-littoral-residency')
  })

  it('is refused in a body, and what has no effect there is told', async () => {
    const refused = problem(await embed({ Residency: { allow: ['DE'] } }), 'invalid_request')
    expect(refused.errors).toEqual([
      { pointer: '/Residency', detail: 'is unknown; did you mean "residency"?' },
    ])
  })
})

describe('[H3] what is hardly HTTP', () => {
  const head = (...lines: string[]) => `${lines.join('\r\n')}\r\n\r\n`
  const withKey = () => `authorization: Bearer ${key}`
  const CHUNKED = 'transfer-encoding: chunked'

  it.each([
    'a b',
    'localhost, localhost',
    'a/../b',
    'a?b',
    'a#b',
    'a@b',
    '[',
    '%zz',
    'a:b',
    'a\\b',
  ])('is refused for the host %j at every kind of route', async (host) => {
    for (const path of ['/v2', '/v1/network', '/contribute', '/docs', '/v1/nothing']) {
      const { status, body } = await sendRaw(
        worker.workerd.url,
        head(`GET ${path} HTTP/1.1`, `host: ${host}`),
      )
      expect([status, (JSON.parse(body) as { code: string }).code]).toEqual([
        400,
        'invalid_request',
      ])
    }
  })

  it('is refused for two hosts, with an idempotency key as without', async () => {
    for (const more of [[], ['idempotency-key: one']]) {
      const { status } = await sendRaw(
        worker.workerd.url,
        head(
          'POST /v1/embeddings HTTP/1.1',
          'host: localhost',
          'host: localhost',
          withKey(),
          'content-length: 0',
          ...more,
        ),
      )
      expect(status).toBe(400)
    }
  })

  it.each(['zz\r\n{}\r\n0\r\n\r\n', '2\r\n{}xx\r\n0\r\n\r\n', 'ffffffffffffffffff\r\n{}'])(
    'is refused for the chunks %j, with an idempotency key as without',
    async (chunks) => {
      for (const more of [[], ['idempotency-key: two']]) {
        const { status, body } = await sendRaw(
          worker.workerd.url,
          head('POST /v1/embeddings HTTP/1.1', 'host: localhost', withKey(), CHUNKED, ...more) +
            chunks,
        )
        expect([status, (JSON.parse(body) as { code: string }).code]).toEqual([
          400,
          'invalid_request',
        ])
      }
    },
  )

  it('is refused at once for a declared length that nobody could send', async () => {
    const { status } = await sendRaw(
      worker.workerd.url,
      head(
        'POST /v1/embeddings HTTP/1.1',
        'host: localhost',
        withKey(),
        'content-length: 1000000000000000000',
      ),
    )
    expect(status).toBe(413)
  })

  it('ends by itself when headers or a body do not come to their end', async () => {
    const unfinished = [
      'GET /v2 HTTP/1.1\r\nhost: localhost\r\nx-a:',
      `${head('POST /v1/nodes/admission HTTP/1.1', 'host: localhost', 'content-length: 20')}{`,
    ]
    const replies = await Promise.all(unfinished.map((text) => sendRaw(worker.workerd.url, text)))
    expect(replies.map(({ status }) => status)).toEqual([0, 408])
  })
})
