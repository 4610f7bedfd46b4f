import OpenAI from 'openai'
import { describe, expect, it } from 'vitest'
import { readFileSync } from 'node:fs'
import { KernelsReply } from '#shared/api/models.ts'
import { SPECTRUM_KERNEL } from '#engine/kernels/spectrum.ts'
import { vibrationWindow } from '#examples/vibration.ts'
import { repositoryPath } from '#scripts/base/paths.ts'
import { analyseVibration, PINNED_POLICY, readMeter } from '#scripts/start/demo.ts'
import { kernelDigest } from '#shared/kernels/kernels.ts'
import { LibraryResponse } from '#worker/api/compute/library.ts'
import { apiFailure as failure } from '#test/support/stack/api-failure.ts'
import { openPolicy, useStack } from '#test/support/stack/stack.ts'
import { openOnce } from '#test/support/open-once.ts'

const MODEL = 'littoral-embed-400k'
const BUFFER = { binding: 0, access: 'read_write', sizeBytes: 4, return: true }

const { stack, tenant } = useStack({
  scopes: ['infer', 'policy', 'audit'],
  policies: [PINNED_POLICY, openPolicy('EU')],
})
const node = openOnce(() => stack.startNode({ name: 'de', region: 'DE', verified: true }))

function openai(apiKey = tenant.apiKey): OpenAI {
  return new OpenAI({ baseURL: `${stack.url}/v1`, apiKey, maxRetries: 0 })
}

/** After each bad kernel the node must still run a good one. */
async function stillServes(): Promise<void> {
  const { samples } = vibrationWindow()
  const { status } = await stack.post(tenant, '/v1/compute', SPECTRUM_KERNEL.request(samples))
  expect(status).toBe(200)
}

describe('the official openai client', () => {
  it('gets the embeddings of the model that its trainer recorded, as floats and as base64', async () => {
    const golden = JSON.parse(
      readFileSync(repositoryPath(`models/${MODEL}/golden.json`), 'utf8'),
    ) as { vec: number[] }
    const light = ['turn on the kitchen light', 'switch on the light in the kitchen']
    const request = { model: MODEL, input: [...light, 'is my data safe?'] }
    const floats = { ...request, encoding_format: 'float' } as const
    const { data, model } = await openai().embeddings.create(floats)
    expect(model).toBe(MODEL)
    expect(data.map(({ embedding }) => embedding.length)).toEqual([128, 128, 128])
    const [a, b, c] = data.map(({ embedding }) => embedding)
    const dot = (x: number[] = [], y: number[] = []) =>
      x.reduce((sum, value, i) => sum + value * (y[i] ?? 0), 0)
    expect(dot(a, a)).toBeCloseTo(1, 5)
    expect(dot(a, b)).toBeGreaterThan(dot(a, c))
    for (const [i, value] of golden.vec.entries()) expect(a?.[i]).toBeCloseTo(value, 4)
    const encoded = await openai().embeddings.create(request)
    expect(encoded.data[0]?.embedding[5]).toBeCloseTo(a?.[5] ?? Number.NaN, 6)
  })

  it('reads which members of its body were ignored', async () => {
    const body = { model: MODEL, input: 'a', trace_id: 'x', 'naïve, member': 1 }
    const { response } = await openai().embeddings.create(body).withResponse()
    expect(response.headers.get('x-littoral-ignored')).toBe('trace_id, na%C3%AFve%2C%20member')
    const { response: plain } = await openai()
      .embeddings.create({ model: MODEL, input: 'a' })
      .withResponse()
    expect(plain.headers.has('x-littoral-ignored')).toBe(false)
  })

  it('lists the models', async () => {
    const { data } = await openai().models.list()
    expect(data.map(({ id }) => id)).toContain(MODEL)
  })

  it('reads our errors: status, code, type and message', async () => {
    const unknown = await failure(openai().embeddings.create({ model: 'gpt-9', input: 'x' }))
    const type = 'invalid_request_error'
    expect(unknown).toMatchObject({ status: 404, code: 'model_not_found', type })
    expect(unknown.message).toContain('gpt-9')
    const request = { model: MODEL, input: 'x' }
    expect(await failure(openai('lit_acme_0000').embeddings.create(request))).toMatchObject({
      status: 401,
      code: 'unauthenticated',
      type: 'authentication_error',
    })
    const headers = { 'x-littoral-residency': 'US' }
    const residency = await failure(openai().embeddings.create(request, { headers }))
    const error = expect.objectContaining({ rule: 'compute.allow', needed: expect.any(String) })
    expect(residency).toMatchObject({ status: 422, code: 'residency_unsatisfiable', error })
    const empty = await failure(openai().embeddings.create({ model: MODEL, input: '' }))
    expect(empty).toMatchObject({ status: 400, code: 'invalid_request' })
  })
})

describe('the requests of npm start', () => {
  it('read the meter photo right, over the Open Inference Protocol', async () => {
    const answered = await readMeter({ url: stack.url, apiKey: tenant.apiKey })
    expect(answered).toMatchObject({
      answer: '00427195',
      region: 'DE',
      node: node.nodeId,
      policy: expect.stringContaining(PINNED_POLICY.id),
    })
    for (const phase of ['edge', 'queue', 'network', 'compute'])
      expect(answered.timing[phase]).toBeGreaterThanOrEqual(0)
  })

  it('find the tone of the vibration window on WebGPU', async () => {
    const answered = await analyseVibration({ url: stack.url, apiKey: tenant.apiKey })
    expect(answered).toMatchObject({ answer: '50.00 Hz', provider: 'webgpu' })
    expect(answered.adapter).not.toBe('')
  })
})

describe('a kernel of the library', () => {
  const x = Array.from({ length: 8 }, (_, n) => Math.cos((2 * Math.PI * n) / 4))
  const fft = { kernel: 'fft@1', params: { input: 'real' } }
  const input = { name: 'x', datatype: 'FP32', shape: [8], data: x }

  it('answers by name, with a receipt for exactly that code', async () => {
    const { status, body } = await stack.post(tenant, '/v1/compute', { ...fft, inputs: [input] })
    expect(status).toBe(200)
    const { outputs, receipt } = LibraryResponse.parse(body)
    expect(outputs[0]).toMatchObject({ name: 'y', datatype: 'FP32', shape: [5, 2] })
    const power = [0, 1, 2, 3, 4].map((k) =>
      Math.hypot(outputs[0]?.data?.[2 * k] ?? NaN, outputs[0]?.data?.[2 * k + 1] ?? NaN),
    )
    expect(power.map((value) => Math.round(value * 1e4) / 1e4)).toEqual([0, 0, 4, 0, 0])
    const proof = await stack.get(tenant, `/v1/receipts/${receipt}`)
    expect(JSON.stringify(proof.body)).toContain(kernelDigest('fft@1'))
    const kernels = await stack.get(tenant, '/v1/kernels')
    expect(KernelsReply.parse(kernels.body).data.map(({ kernel }) => kernel)).toContain('fft@1')
  })

  it('is refused with a pointer before any node is asked', async () => {
    const inputs = [{ ...input, shape: [7], data: x.slice(1) }]
    const { status, body } = await stack.post(tenant, '/v1/compute', { ...fft, inputs })
    expect(status).toBe(400)
    expect(body).toMatchObject({
      code: 'invalid_request',
      errors: [{ pointer: '/inputs/0/shape' }],
    })
    const unknown = await stack.post(tenant, '/v1/compute', { kernel: 'fft@9', inputs: [input] })
    expect(unknown).toMatchObject({ status: 404, body: { errors: [{ pointer: '/kernel' }] } })
  })

  it('says so when the result is beyond its type', async () => {
    const inputs = [{ ...input, data: x.map(() => 3e38) }]
    const { status, body } = await stack.post(tenant, '/v1/compute', { ...fft, inputs })
    expect(status).toBe(400)
    expect(body).toMatchObject({ detail: expect.stringContaining('beyond the range') })
  })
})

describe('a malicious or malformed kernel', () => {
  const compute = (kernel: Record<string, unknown>, buffers: unknown[] = [BUFFER]) =>
    stack.post(tenant, '/v1/compute', {
      kernel: { entryPoint: 'main', workgroups: [1, 1, 1], ...kernel },
      buffers,
    })
  const MAIN =
    '@group(0) @binding(0) var<storage, read_write> a: array<u32>;\n@compute @workgroup_size(1) fn main()'

  const refused = { code: 'too_large' }
  it.each([
    [
      'never ends',
      { wgsl: `${MAIN} { loop { a[0] += 1u; if (a[0] == 0u) { break; } a[0] = 1u; } }` },
      [BUFFER],
      503,
      { code: 'no_capacity', rule: 'kernels.budget' },
    ],
    [
      'has 300 KB of source',
      { wgsl: `${MAIN} { ${'a[0] = 1u; '.repeat(28_000)} }` },
      [BUFFER],
      413,
      { ...refused, errors: [{ pointer: '/kernel/wgsl' }] },
    ],
    [
      'has more statements than a compiler should get',
      { wgsl: `${MAIN} { ${'a[0]=1u;'.repeat(3_000)} }` },
      [BUFFER],
      413,
      refused,
    ],
    [
      'asks for huge buffers',
      { wgsl: `${MAIN} {}` },
      [{ ...BUFFER, sizeBytes: 2 ** 31 }],
      413,
      { ...refused, errors: [{ pointer: '/buffers/0' }] },
    ],
  ])('is refused when it %s, and the node serves on', async (_, kernel, buffers, status, body) => {
    expect(await compute(kernel, buffers)).toMatchObject({ status, body })
    await stillServes()
  })

  it('is refused with the line when it does not compile', async () => {
    const body = { code: 'invalid_request', detail: expect.stringContaining('line 3') as string }
    expect(await compute({ wgsl: `${MAIN} {\n let x = ; }` })).toMatchObject({ status: 400, body })
  })

  it('is refused when its data is no base64', async () => {
    const { status, body } = await compute({ wgsl: `${MAIN} {}` }, [
      { binding: 0, access: 'read_write', data: 'AAA', return: true },
    ])
    expect(status).toBe(400)
    expect(JSON.stringify(body)).toContain('/buffers/0')
  })
})

describe('a tensor that is malformed', () => {
  const infer = (input: Record<string, unknown>, model = 'pp-ocr-rec') =>
    stack.post(tenant, `/v2/models/${model}/infer`, { inputs: [input] })
  const image = {
    name: 'image',
    datatype: 'UINT8',
    shape: [2, 2, 3],
    data: Array.from({ length: 12 }, () => 7),
  }

  it.each([
    ['shape', { ...image, shape: [2, 2, 4] }, '/inputs/0'],
    ['type', { ...image, datatype: 'FP32' }, '/inputs/0'],
    ['values', { ...image, data: image.data.map(() => 'NaN') }, '/inputs/0'],
    ['length', { ...image, data: [1, 2, 3] }, '/inputs/0'],
    ['base64', { ...image, parameters: { encoding: 'base64' }, data: 'AAAA*' }, '/inputs/0'],
    ['name', { ...image, name: 'picture' }, '/inputs/0'],
  ])('is refused by its %s, with a pointer to it', async (_what, input, pointer) => {
    const { status, body } = await infer(input)
    expect(status).toBe(400)
    expect(body).toMatchObject({ code: 'invalid_request' })
    expect(JSON.stringify(body.errors)).toContain(pointer)
  })

  it('is refused before parsing when the body is over its limit', async () => {
    const response = await fetch(`${stack.url}/v1/compute`, {
      method: 'POST',
      headers: { authorization: `Bearer ${tenant.apiKey}`, 'content-type': 'application/json' },
      body: 'x'.repeat(17 * 1024 * 1024),
    })
    expect(response.status).toBe(413)
    expect(await response.json()).toMatchObject({ code: 'too_large' })
    await stillServes()
  })
})
