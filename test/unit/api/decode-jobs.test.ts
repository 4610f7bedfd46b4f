/** The batches that a client may submit, and those that are refused before anything is stored. */
import { describe, expect, it } from 'vitest'
import { AppError, toAppError } from '#shared/base/errors.ts'
import { MANIFESTS } from '#shared/job/manifests.ts'
import { decodeJobs } from '#worker/api/jobs/decode-jobs.ts'
import { parseBody } from '#worker/body/faults.ts'
import { JobsRequest, JOBS_ITEMS } from '#worker/api/jobs/jobs.ts'

const KERNEL = { wgsl: 'fn main() {}', entryPoint: 'main', workgroups: [300, 1, 1] }
const OUT = { binding: 1, access: 'read_write', sizeBytes: 8, return: true }
const IN = { binding: 0, access: 'read', sizeBytes: 4, perItem: true }
const SHARED = { binding: 5, access: 'read', data: 'AQIDBAUGBwg=' }
const item = (data: string) => ({ buffers: [{ binding: 0, data }] })

function decode(body: object) {
  return decodeJobs(parseBody(JobsRequest, body), (id) => {
    const manifest = MANIFESTS.find((candidate) => candidate.id === id)
    if (manifest === undefined) throw new AppError('model_not_found', id)
    return manifest
  })
}

async function refusal(body: object) {
  try {
    await decode(body)
  } catch (error) {
    const { code, meta } = toAppError(error)
    return { code, pointers: meta.errors?.map(({ pointer }) => pointer) }
  }
  throw new Error('nothing was refused')
}

describe('a batch over a list', () => {
  it('sends the shared bytes once and each item its own', async () => {
    const { template, input, items, units } = await decode({
      kernel: KERNEL,
      buffers: [SHARED, IN, OUT],
      inputs: [item('AQAAAA=='), item('AgAAAA==')],
    })
    expect(items).toBe(2)
    expect(units).toBe(4)
    expect([...input.shared]).toEqual([1, 2, 3, 4, 5, 6, 7, 8])
    expect(input.items.map(({ bytes }) => [...bytes])).toEqual([
      [1, 0, 0, 0],
      [2, 0, 0, 0],
    ])
    expect(template?.parts).toEqual([
      { source: 'shared', sizeBytes: 8 },
      { source: 'own', sizeBytes: 4 },
    ])
    expect(template?.work.buffers.map(({ filled }) => filled)).toEqual([true, true, false])
  })

  it('is refused with a pointer to each wrong item', async () => {
    const batch = { kernel: KERNEL, buffers: [IN, OUT] }
    expect(await refusal({ ...batch, inputs: [item('AQAAAA=='), item('AQI='), {}] })).toEqual({
      code: 'invalid_request',
      pointers: ['/inputs/1/buffers/0/data', '/inputs/2/buffers'],
    })
    const wrong = { buffers: [{ binding: 1, data: 'AQAAAA==' }] }
    expect(await refusal({ ...batch, inputs: [wrong] })).toMatchObject({
      pointers: ['/inputs/0/buffers/0/binding', '/inputs/0/buffers'],
    })
  })

  it('of a model takes tensors and counts units', async () => {
    const inputs = ['a', 'b'].map((text) => ({
      inputs: [{ name: 'text', datatype: 'BYTES', shape: [1], data: [text] }],
    }))
    const decoded = await decode({
      model: 'littoral-embed-400k',
      inputs,
      reduce: { op: 'mean', datatype: 'FP32' },
    })
    expect(decoded).toMatchObject({ items: 2, template: null, reduce: { output: 'embedding' } })
    expect(decoded.input.items[0]?.work).toMatchObject({ kind: 'model' })
    const bad = [{ inputs: [{ name: 'text', datatype: 'FP32', shape: [1], data: [1] }] }]
    expect((await refusal({ model: 'littoral-embed-400k', inputs: bad })).pointers?.[0]).toMatch(
      /^\/inputs\/0\/inputs\/0/,
    )
  })
})

describe('a batch of pictures', () => {
  it('takes base64 and data URLs, like a single request', async () => {
    const base64 = Buffer.from('\u{89}PNG', 'latin1').toString('base64')
    const inputs = [base64, `data:image/png;base64,${base64}`].map((text) => ({
      inputs: [{ name: 'image', datatype: 'BYTES', shape: [1], data: [text] }],
    }))
    const { input } = await decode({ model: 'pp-ocr', inputs })
    const framed = Uint8Array.of(4, 0, 0, 0, 0x89, 0x50, 0x4e, 0x47)
    expect(input.items.map(({ bytes }) => bytes)).toEqual([framed, framed])
  })
})

describe('a batch of a library kernel', () => {
  const vector = (...data: number[]) => ({
    inputs: [{ name: 'x', datatype: 'FP32', shape: [data.length], data }],
  })

  it('is checked item by item, and each has its own shape', async () => {
    const body = { kernel: 'reduce@1', params: { op: 'sum' }, inputs: [vector(1, 2), vector(3)] }
    const { input, items, units } = await decode(body)
    expect({ items, units }).toEqual({ items: 2, units: 2 })
    expect(input.items[0]?.work).toMatchObject({ kind: 'library', kernel: 'reduce@1' })
    const wrong = {
      ...body,
      inputs: [vector(1), { inputs: [{ ...vector(1).inputs[0], name: 'q' }] }],
    }
    expect((await refusal(wrong)).pointers?.[0]).toMatch(/^\/inputs\/1\/inputs/)
  })
})

describe('a reduction of named outputs', () => {
  it('is refused for another datatype than the outputs have', async () => {
    const inputs = ['FP32', 'INT32'].map((datatype) => ({
      inputs: [{ name: 'x', datatype, shape: [1], data: [1] }],
    }))
    const reduce = { op: 'sum', datatype: 'FP32' }
    const scan = { kernel: 'scan@1', inputs, reduce }
    expect(await refusal(scan)).toMatchObject({ pointers: ['/reduce/datatype'] })
    expect((await decode({ ...scan, inputs: inputs.slice(0, 1) })).items).toBe(1)
    const text = { inputs: [{ name: 'text', datatype: 'BYTES', shape: [1], data: ['a'] }] }
    const model = { model: 'littoral-embed-400k', inputs: [text] }
    const wrong = { ...model, reduce: { op: 'mean', datatype: 'INT32' } }
    expect(await refusal(wrong)).toMatchObject({ pointers: ['/reduce/datatype'] })
  })
})

describe('a batch over a range', () => {
  it('has its own buffer of four numbers', async () => {
    const { template, items, range } = await decode({
      kernel: KERNEL,
      buffers: [OUT],
      range: { end: 100, step: 30, binding: 3 },
    })
    expect(items).toBe(4)
    expect(range).toEqual({ start: 0, end: 100, step: 30, binding: 3, seed: 0 })
    expect(template?.work.buffers.at(-1)).toMatchObject({ binding: 3, sizeBytes: 16, filled: true })
  })

  it('is refused when it is empty, too long, or its buffer is taken', async () => {
    const batch = { kernel: KERNEL, buffers: [OUT] }
    const refused = async (range: object) => (await refusal({ ...batch, range })).code
    expect(await refused({ start: 5, end: 5, binding: 0 })).toBe('invalid_request')
    expect(await refused({ end: JOBS_ITEMS + 1, binding: 0 })).toBe('too_large')
    expect(await refused({ end: 2, binding: 1 })).toBe('invalid_request')
  })
})

describe('any batch', () => {
  it('has one kind of work and one kind of input', async () => {
    const range = { end: 2, binding: 0 }
    const inputs = [item('AQAAAA==')]
    for (const body of [
      { buffers: [OUT], range },
      { kernel: KERNEL, model: 'littoral-embed-400k', buffers: [OUT], range },
      { kernel: KERNEL, buffers: [OUT] },
      { kernel: KERNEL, buffers: [IN, OUT], range, inputs },
      { kernel: KERNEL, buffers: [OUT], range, params: { op: 'sum' } },
    ]) {
      expect((await refusal(body)).code).toBe('invalid_request')
    }
  })

  it('is refused when its answers would exceed the limit', async () => {
    const big = { binding: 1, access: 'read_write', sizeBytes: 1 << 20, return: true }
    const batch = { kernel: KERNEL, buffers: [big], range: { end: 1_000, binding: 0 } }
    expect(await refusal(batch)).toMatchObject({ code: 'too_large', pointers: ['/buffers'] })
  })

  it('is refused when a reduction names an unknown output', async () => {
    const batch = { kernel: KERNEL, buffers: [OUT], range: { end: 2, binding: 0 } }
    const reduce = { op: 'sum', output: 7, datatype: 'FP32' }
    expect(await refusal({ ...batch, reduce })).toMatchObject({ pointers: ['/reduce/output'] })
    const kernel = { ...KERNEL, workgroups: [1, 1, 1] }
    const { reduce: plan } = await decode({
      ...batch,
      reduce: { kernel, binding: 0, buffers: [OUT] },
    })
    expect(plan).toMatchObject({
      kind: 'kernel',
      output: 'binding:1',
      template: { parts: [{ source: 'own', sizeBytes: 16 }] },
    })
  })
})
