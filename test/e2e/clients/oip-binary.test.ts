/** The Open Inference Protocol with a real node: binary tensors, versions, and a client generated from the protocol's description. */
import { readFileSync } from 'node:fs'
import { beforeAll, describe, expect, it } from 'vitest'
import { repositoryPath } from '#scripts/base/paths.ts'
import { encodeBytes } from '#shared/job/tensor.ts'
import { createOpenApiClient, type OpenApiClient } from '#test/support/stack/openapi-client.ts'
import { useStack } from '#test/support/stack/stack.ts'

const MODEL = 'littoral-embed-400k'
const TEXTS = ['turn on the light', 'how warm is it']

const { stack, tenant } = useStack({ scopes: ['infer', 'policy'] })
let client: OpenApiClient
beforeAll(async () => {
  await stack.startNode({ name: 'de', region: 'DE', verified: true, device: 'cpu' })
  const document: unknown = JSON.parse(
    readFileSync(repositoryPath('test/support/open-inference.json'), 'utf8'),
  )
  client = createOpenApiClient(document, { url: stack.url, key: tenant.apiKey })
})

interface Embedded {
  readonly id: string
  readonly model_version: string
  readonly outputs: readonly {
    readonly name: string
    readonly shape: readonly number[]
    readonly data?: readonly number[]
    readonly parameters?: { readonly binary_data_size?: number }
  }[]
}

/** Sends JSON and bytes as one body, and splits the reply into both. */
async function infer(json: unknown, binary: Uint8Array, headers: Record<string, string> = {}) {
  const head = new TextEncoder().encode(JSON.stringify(json))
  const body = new Uint8Array(head.length + binary.length)
  body.set(head)
  body.set(binary, head.length)
  const response = await fetch(`${stack.url}/v2/models/${MODEL}/infer`, {
    method: 'POST',
    headers: {
      authorization: `Bearer ${tenant.apiKey}`,
      'content-type': 'application/octet-stream',
      'inference-header-content-length': String(head.length),
      ...headers,
    },
    body,
  })
  const bytes = new Uint8Array(await response.arrayBuffer())
  const length = Number(response.headers.get('inference-header-content-length') ?? bytes.length)
  return {
    status: response.status,
    type: response.headers.get('content-type'),
    json: JSON.parse(new TextDecoder().decode(bytes.subarray(0, length))) as Embedded &
      Record<string, unknown>,
    binary: bytes.slice(length),
  }
}

const texts = encodeBytes(TEXTS)
const tensor = { name: 'text', datatype: 'BYTES', shape: [2] }
const binaryTensor = { ...tensor, parameters: { binary_data_size: texts.length } }

describe('a client generated from the description of the Open Inference Protocol', () => {
  it('finds the server, its extension and the model, with and without a version', async () => {
    expect(await client['checkServerLiveness']?.()).toMatchObject({ status: 200 })
    // The Worker learns of the nodes from their hub's summary, seconds after they came.
    await expect.poll(() => client['checkServerReadiness']?.()).toMatchObject({ status: 200 })
    expect((await client['readServerMetadata']?.())?.body).toMatchObject({
      extensions: ['binary_tensor_data'],
    })
    const path = { MODEL_NAME: MODEL }
    expect(await client['checkModelReadiness']?.({ path })).toMatchObject({ status: 200 })
    const model = (await client['readModelMetadata']?.({ path }))?.body as {
      versions: string[]
    }
    const versioned = { ...path, MODEL_VERSION: model.versions[0] ?? '' }
    expect((await client['readModelVersionMetadata']?.({ path: versioned }))?.body).toEqual(model)
    expect(await client['checkModelVersionReadiness']?.({ path: versioned })).toMatchObject({
      status: 200,
    })
  })

  it('infers, gets its id back, and reads our errors in the form of the protocol', async () => {
    const path = { MODEL_NAME: MODEL }
    const body = { id: '42', inputs: [{ ...tensor, data: TEXTS }] }
    const whole = await client['modelInfer']?.({ path, body })
    const answer = whole?.body as Embedded
    expect(answer).toMatchObject({ id: '42', model_name: MODEL })
    expect(answer.outputs[0]?.data).toHaveLength(256)
    const versioned = { ...path, MODEL_VERSION: answer.model_version }
    const same = await client['modelVersionInfer']?.({ path: versioned, body })
    expect(same?.body).toEqual(answer)
    const missing = await client['modelVersionInfer']?.({
      path: { ...path, MODEL_VERSION: '7' },
      body,
    })
    expect(missing?.status).toBe(404)
    const wrong = await client['modelInfer']?.({
      path,
      body: { inputs: [{ ...tensor, data: ['one'] }] },
    })
    expect(wrong).toMatchObject({ status: 400, body: { error: expect.stringContaining('/data') } })
  })
})

describe('the binary tensor extension', () => {
  it('takes bytes after the JSON and returns the same answer as for JSON', async () => {
    const plain = await infer({ inputs: [{ ...tensor, data: TEXTS }] }, new Uint8Array())
    const binary = await infer({ inputs: [binaryTensor] }, texts)
    expect([plain.status, binary.status]).toEqual([200, 200])
    expect(binary.json.outputs).toEqual(plain.json.outputs)
    expect(binary.type).toBe('application/json')
  })

  it.each([
    ['for all outputs', { parameters: { binary_data_output: true } }],
    ['for one', { outputs: [{ name: 'embedding', parameters: { binary_data: true } }] }],
  ])('returns bytes after the JSON on request, %s', async (_, wish) => {
    const plain = await infer({ inputs: [binaryTensor] }, texts)
    const { json, binary, type, status } = await infer({ inputs: [binaryTensor], ...wish }, texts)
    expect({ status, type }).toEqual({ status: 200, type: 'application/octet-stream' })
    expect(json.outputs[0]).toMatchObject({ parameters: { binary_data_size: 2 * 128 * 4 } })
    expect(json.outputs[0]).not.toHaveProperty('data')
    expect([...new Float32Array(binary.buffer)]).toEqual(plain.json.outputs[0]?.data)
  })

  it('returns JSON for an output that asks for it while the others are binary', async () => {
    const outputs = [{ name: 'embedding', parameters: { binary_data: false } }]
    const wish = { outputs, parameters: { binary_data_output: true } }
    const { json, binary } = await infer({ inputs: [binaryTensor], ...wish }, texts)
    expect(json.outputs[0]?.data).toHaveLength(256)
    expect(binary).toHaveLength(0)
  })

  it.each([
    ['fewer bytes than declared', texts.subarray(1), {}, '/inputs/0/parameters/binary_data_size'],
    ['surplus bytes', encodeBytes([...TEXTS, 'x']), {}, '/inputs'],
    ['data beside the bytes', texts, { data: TEXTS }, '/inputs/0/data'],
    ['a shape that needs more data', texts, { shape: [3] }, '/inputs/0/data'],
    [
      'a size over the limit',
      texts,
      { parameters: { binary_data_size: 2 ** 32 } },
      '/inputs/0/parameters/binary_data_size',
    ],
    ['an unknown parameter', texts, { parameters: { shm: 1 } }, '/inputs/0/parameters/shm'],
  ])('[H4] refuses %s, with a pointer', async (_, binary, part, pointer) => {
    const { status, json } = await infer({ inputs: [{ ...binaryTensor, ...part }] }, binary)
    expect(status).toBe(400)
    expect(JSON.stringify(json['errors'])).toContain(`"pointer":"${pointer}"`)
  })

  it.each(['0', '-1', 'x', '999999', '1e3'])('[H4] refuses a JSON length of %s', async (length) => {
    const headers = { 'inference-header-content-length': length }
    const { status, json } = await infer({ inputs: [binaryTensor] }, texts, headers)
    expect(status).toBe(400)
    expect(json['code']).toBe('invalid_request')
  })

  it('is replayed for an idempotency key, including its bytes', async () => {
    const wish = { inputs: [binaryTensor], parameters: { binary_data_output: true } }
    const key = { 'idempotency-key': 'binary-1' }
    const first = await infer(wish, texts, key)
    expect(await infer(wish, texts, key)).toEqual(first)
  })
})
