/** `/v1/compute` bodies to kernel work and back. */
import { createHash } from 'node:crypto'
import { describe, expect, it } from 'vitest'
import { toAppError } from '#shared/base/errors.ts'
import { KernelWork } from '#shared/job/job.ts'
import { kernelUnits } from '#shared/receipt/pricing.ts'
import { ComputeRequest, decodeCompute, encodeCompute } from '#worker/api/compute/compute.ts'
import { JobsRequest } from '#worker/api/jobs/jobs.ts'
import { parseBody } from '#worker/body/faults.ts'
import { ClientMessage } from '#worker/hub/session/messages.ts'

const kernel = {
  wgsl: '@compute @workgroup_size(1) fn main() {}',
  entryPoint: 'main',
  workgroups: [4, 1, 1],
}
const input = { binding: 0, access: 'read', data: 'AAAAAAAAAAA=' }
const output = { binding: 1, access: 'read_write', sizeBytes: 16, return: true }
const body = { kernel, buffers: [input, output] }

const decode = async (request: unknown) => decodeCompute(parseBody(ComputeRequest, request))

async function faultOf(request: unknown) {
  const error = await decode(request).then(
    () => undefined,
    (reason: unknown) => toAppError(reason),
  )
  return { code: error?.code, pointer: error?.meta.errors?.[0]?.pointer }
}

describe('decoding', () => {
  it('refuses a feature that WGSL does not have, in batches and sessions too', async () => {
    const made = { ...kernel, requires: ['f16', 'made_up'] }
    expect((await faultOf({ ...body, kernel: made })).pointer).toBe('/kernel/requires/1')
    const buffers = [{ role: 'state', binding: 0, sizeBytes: 4 }]
    const batch = JobsRequest.safeParse({ kernel: made, inputs: [{}] })
    const session = ClientMessage.safeParse({ type: 'open', kernel: made, buffers })
    for (const { error } of [batch, session])
      expect(JSON.stringify(error?.issues)).toContain('subgroups')
    expect(
      (await decode({ ...body, kernel: { ...kernel, requires: ['f16'] } })).work,
    ).toMatchObject({ requires: ['f16'] })
  })

  it('makes work that every later check accepts', async () => {
    const { work, payload } = await decode(body)
    expect(KernelWork.parse(work)).toEqual(work)
    expect(work.buffers).toEqual([
      { binding: 0, access: 'read', sizeBytes: 8, filled: true, return: false },
      { binding: 1, access: 'read_write', sizeBytes: 16, filled: false, return: true },
    ])
    expect(payload).toEqual(new Uint8Array(8))
    expect(work.digest).toBe(`0x${createHash('sha256').update(kernel.wgsl).digest('hex')}`)
  })

  it.each<[string, object, string]>([
    ['truncated base64', { buffers: [{ ...input, data: 'AAA' }, output] }, '/buffers/0/data'],
    ['partial words', { buffers: [{ ...input, data: 'AAAA' }, output] }, '/buffers/0/data'],
    ['a repeated binding', { buffers: [input, { ...output, binding: 0 }] }, '/buffers/1/binding'],
    ['nothing to return', { buffers: [input] }, '/buffers'],
    ['a read-only return', { buffers: [{ ...input, return: true }, output] }, '/buffers/0/return'],
    ['an invalid entry point', { kernel: { ...kernel, entryPoint: 'a b' } }, '/kernel/entryPoint'],
    ['no workgroups', { kernel: { ...kernel, workgroups: [0, 1, 1] } }, '/kernel/workgroups/0'],
    ['an unknown member', { priority: 1 }, '/priority'],
  ])('[A3] refuses %s and points at it', async (_, change, pointer) => {
    expect(await faultOf({ ...body, ...change })).toEqual({ code: 'invalid_request', pointer })
  })

  const large = (binding: number) => ({ ...output, binding, sizeBytes: 2 ** 25 })
  const quiet = (binding: number) => ({ ...large(binding), return: false })
  it.each<[string, object, string]>([
    ['300 KB of source', { kernel: { ...kernel, wgsl: 'x'.repeat(300_000) } }, '/kernel/wgsl'],
    ['a huge buffer', { buffers: [{ ...output, sizeBytes: 2 ** 30 }] }, '/buffers/0'],
    ['huge buffers together', { buffers: [large(0), quiet(1), quiet(2)] }, '/buffers'],
    ['too much to return', { buffers: [large(0), large(1)] }, '/buffers'],
    [
      'workgroups',
      { kernel: { ...kernel, workgroups: [65_535, 65_535, 1] } },
      '/kernel/workgroups',
    ],
  ])('[A4] refuses %s as too large before any node sees it', async (_, change, pointer) => {
    expect(await faultOf({ ...body, ...change })).toEqual({ code: 'too_large', pointer })
  })
})

describe('price', () => {
  it('counts one unit for every 256 workgroups begun', () => {
    expect(kernelUnits({ workgroups: [1, 1, 1] })).toBe(1)
    expect(kernelUnits({ workgroups: [256, 1, 1] })).toBe(1)
    expect(kernelUnits({ workgroups: [257, 1, 1] })).toBe(2)
    expect(kernelUnits({ workgroups: [64, 64, 2] })).toBe(32)
  })
})

describe('encoding', () => {
  it('gives back each buffer by its binding', () => {
    const outputs = [
      { name: 'binding:1', datatype: 'UINT8' as const, shape: [4], sizeBytes: 4 },
      { name: 'binding:3', datatype: 'UINT8' as const, shape: [4], sizeBytes: 4 },
    ]
    const payload = new Uint8Array([1, 2, 3, 4, 5, 6, 7, 8])
    const receipt = `0x${'0'.repeat(64)}` as const
    expect(encodeCompute({ outputs, payload }, { id: 'job', receipt })).toEqual({
      id: 'job',
      receipt,
      outputs: [
        { binding: 1, data: 'AQIDBA==' },
        { binding: 3, data: 'BQYHCA==' },
      ],
    })
  })
})
