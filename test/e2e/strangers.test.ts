/** What strangers send to every route: names that were meant to be ours, and requests that are hardly HTTP. */
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { problem } from '#test/support/problem.ts'
import { startTestWorker, type CallOptions, type TestWorker } from '#test/support/worker.ts'
import { createApp } from '#worker/app.ts'
import { createIsolate } from '#worker/isolate.ts'

const MODEL = 'littoral-embed-400k'

let worker: TestWorker
let key: string

beforeAll(async () => {
  worker = await startTestWorker('production')
  key = (await worker.operator.createKey({ tenant: 'acme', scopes: ['infer'] })).key
})

afterAll(async () => {
  await worker?.close()
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
  ])('is refused as a header: %s', async (name) => {
    problem(await embed({}, { headers: { [name]: 'DE' } }), 'invalid_request')
  })

  it.each(['x-stainless-lang', 'x-country', 'referer', 'x-request-policy-id', 'cf-region'])(
    'is told from a header that is nothing of ours: %s',
    async (name) => {
      problem(await embed({}, { headers: { [name]: 'DE' } }), 'no_capacity')
    },
  )

  it('is refused in a body, and what has no effect there is told', async () => {
    const refused = problem(await embed({ Residency: { allow: ['DE'] } }), 'invalid_request')
    expect(refused.errors).toEqual([
      { pointer: '/Residency', detail: 'is not known here; "residency" is' },
    ])
  })
})
