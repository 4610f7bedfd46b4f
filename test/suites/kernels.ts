/** What submitted kernels declare and what their jobs bring: the same for a tab and a local node. */
import { expect, test } from 'vitest'
import type { Engine } from '#engine/engine.ts'
import type { KernelBuffer } from '#shared/job/job.ts'
import { kernelJob } from '#test/support/engine/engine-jobs.ts'
import { runJob } from '#test/support/engine/run-job.ts'

/** For an engine that runs any kernel. */
export function describeInterface(engine: () => Engine): void {
  const uniform = (type: string) => `
@group(0) @binding(0) var<storage, read_write> d: array<u32>;
@group(0) @binding(1) var<uniform> k: ${type};
@compute @workgroup_size(4) fn main(@builtin(local_invocation_index) i: u32) { d[i] = i * k; }`
  const bound = (wgsl: string, access: KernelBuffer['access']) =>
    kernelJob({
      wgsl,
      buffers: [{ sizeBytes: 16 }, { sizeBytes: 4, access, filled: true, return: false }],
      payload: Uint8Array.of(3, 0, 0, 0),
    })
  test.each(['uniform', 'read'] as const)(
    'a uniform is bound as one: access %s',
    async (access) => {
      const { bytes } = await runJob(engine(), bound(uniform('u32'), access))
      expect([...new Uint32Array(bytes.slice().buffer)]).toEqual([0, 3, 6, 9])
    },
  )

  test.each([
    [
      uniform('u32'),
      'line 3: k is var<uniform>: its buffer needs access "uniform", not "read_write"',
    ],
    [uniform('u32').replace('@binding(1)', '@binding(2)'), 'line 3: k has @binding(2), and no'],
    [
      uniform('u32').replace('@group(0) @binding(1)', '@group(1) @binding(1)'),
      'line 3: k is not in',
    ],
    [
      uniform('u32').replace('<uniform> k: u32', ' k: sampler').replace('* k', ''),
      'line 3: k is no',
    ],
    [`enable subgroups;\n${uniform('u32')}`, 'line 1: "enable subgroups" needs "subgroups" among'],
    [uniform('u32').replace('i * k', 'i + k * 1f'), 'line 4:'],
  ])(
    'what a kernel declares and its job does not bring is told in its line: %#',
    async (wgsl, why) => {
      const used = wgsl.includes('sampler') ? wgsl.replace('d[i] = i', '_ = k; d[i] = i') : wgsl
      const access = why.includes('needs access') ? 'read_write' : 'uniform'
      await expect(runJob(engine(), bound(used, access))).rejects.toMatchObject({
        code: 'invalid_request',
        detail: expect.stringContaining(why),
      })
    },
  )

  test('features that the device has are offered, and run', async () => {
    const { features = [] } = engine()
    expect(features).toContain('subgroups')
    const wgsl = `enable subgroups;
@group(0) @binding(0) var<storage, read_write> d: array<u32>;
@compute @workgroup_size(4) fn main(@builtin(local_invocation_index) i: u32) { d[i] = subgroupAdd(1u) * 0u + i; }`
    const job = kernelJob({ wgsl, buffers: [{ sizeBytes: 16 }] })
    const work = { ...job.work, requires: ['subgroups'] }
    const { bytes } = await runJob(engine(), { ...job, work })
    expect([...new Uint32Array(bytes.slice().buffer)]).toEqual([0, 1, 2, 3])
  })
}
