/** Loading and unloading models in the whole system: a local node with one model gets a request for another. */
import { createHash } from 'node:crypto'
import { describe, expect, it } from 'vitest'
import { ModelsReply } from '#shared/api/models.ts'
import { MANIFESTS } from '#shared/job/manifests.ts'
import { openPolicy, useStack } from '#test/support/stack/stack.ts'
import { openOnce } from '#test/support/open-once.ts'

const WARM = 'littoral-embed-400k'
const COLD = 'littoral-chat-2m'

const { stack, tenant } = useStack({ scopes: ['infer', 'policy'] })
const node = openOnce(() =>
  stack.startNode({
    name: 'shelf',
    region: 'DE',
    device: 'cpu',
    verified: false,
    // Memory for only one of the two models.
    options: ['--models', WARM, '--model-memory', '9', '--model-cache', `${stack.dir}/models`],
  }),
)

async function listed(id: string) {
  const { body } = await stack.get(tenant, '/v1/models')
  return ModelsReply.parse(body).data.find((model) => model.id === id)
}

const chat = (by = tenant) =>
  stack.post(by, '/v1/chat/completions', {
    model: COLD,
    messages: [{ role: 'user', content: 'turn on the kitchen light' }],
    max_tokens: 8,
    temperature: 0,
  })
const embed = () => stack.post(tenant, '/v1/embeddings', { model: WARM, input: 'is my data safe?' })
const timing = (headers: Headers) => headers.get('server-timing') ?? ''

describe('a node that started with one model', () => {
  it('[M1] loads the model that a request names, and server-timing reports the cost of the cold start', async () => {
    await expect.poll(() => listed(COLD)).toMatchObject({ status: 'cold', nodes: 0, loadable: 1 })
    await expect
      .poll(() => listed(WARM))
      .toMatchObject({
        status: 'warm',
        countries: [{ country: 'DE', warm: 1, loadable: 0 }],
        providers: { cpu: 1 },
      })
    const warm = await embed()
    expect(warm.status).toBe(200)
    expect(timing(warm.headers)).not.toContain('load;')

    const cold = await chat()
    expect([cold.status, cold.body]).toEqual([200, expect.anything()])
    expect(Number(/load;dur=([\d.]+)/.exec(timing(cold.headers))?.[1])).toBeGreaterThan(0)
    expect(cold.headers.get('x-littoral-node')).toBe(node.nodeId)
    await expect.poll(() => listed(COLD)).toMatchObject({ status: 'warm', nodes: 1, loadable: 0 })

    const again = await chat()
    expect(again.status).toBe(200)
    expect(timing(again.headers)).not.toContain('load;')
  })

  it('[M7] unloaded the idle model because both did not fit, and loads it again on request', async () => {
    await expect.poll(() => listed(WARM)).toMatchObject({ status: 'cold', nodes: 0, loadable: 1 })
    // A model that was just used is kept for a while, and the job waits for that.
    const { status, headers } = await embed()
    expect(status).toBe(200)
    expect(timing(headers)).toContain('load;dur=')
    await expect.poll(() => listed(WARM)).toMatchObject({ status: 'warm', nodes: 1 })
  })

  it('[M2] is not asked to load for a policy that excludes it', async () => {
    const other = await stack.createTenant('elsewhere', ['infer', 'policy'])
    await stack.pin(other, openPolicy('US'))
    const { status, body } = await chat(other)
    expect([status, body.code]).toEqual([422, 'residency_unsatisfiable'])
  })
})

describe('the operator’s copy of a model file', () => {
  it('[F11] matches its hash, is immutable, and is served from any byte', async () => {
    const file = MANIFESTS.find(({ id }) => id === WARM)?.files[0]
    const url = `${stack.url}/models/${file?.sha256 ?? ''}`
    const whole = await fetch(url)
    const bytes = new Uint8Array(await whole.arrayBuffer())
    expect(`0x${createHash('sha256').update(bytes).digest('hex')}`).toBe(file?.sha256)
    expect(whole.headers.get('cache-control')).toContain('immutable')
    expect(whole.headers.get('etag')).toBe(`"${file?.sha256 ?? ''}"`)
    const rest = await fetch(url, { headers: { range: 'bytes=1000000-' } })
    expect(rest.status).toBe(206)
    expect(rest.headers.get('content-range')).toBe(
      `bytes 1000000-${bytes.length - 1}/${bytes.length}`,
    )
    expect(new Uint8Array(await rest.arrayBuffer())).toEqual(bytes.subarray(1_000_000))
    const headers = { range: `bytes=${bytes.length}-` }
    expect((await fetch(url, { headers })).status).toBe(416)
  })
})
