/** Declarations of submitted kernels against the buffers of their jobs, in a tab and in a local node. */
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
    [`enable subgroups;\n${uniform('u32')}`, 'line 1: "enable subgroups" needs "subgroups" in'],
    [uniform('u32').replace('i * k', 'i + k * 1f'), 'line 4:'],
  ])('a declaration without a match in the job is refused with its line: %#', async (wgsl, why) => {
    const used = wgsl.includes('sampler') ? wgsl.replace('d[i] = i', '_ = k; d[i] = i') : wgsl
    const access = why.includes('needs access') ? 'read_write' : 'uniform'
    await expect(runJob(engine(), bound(used, access))).rejects.toMatchObject({
      code: 'invalid_request',
      detail: expect.stringContaining(why),
    })
  })

  const faulty = (main: string, before = '', size = '1') => `${before}
@group(0) @binding(0) var<storage, read_write> d: array<u32>;
@compute @workgroup_size(${size}) fn main() { ${main} }`
  const endless = (body: string) => faulty('d[0] = f(1u);', `fn f(a: u32) -> u32 { ${body} }`)
  const struct = 'struct S { all: array<vec4f, 4> }'
  test.each([
    [endless('for (var i = 0u; i < a; i++) {}'), 'line 1:55: missing return'],
    [endless('while a > 2u {}'), 'line 1:39: missing return'],
    [endless('loop { break; }'), 'line 1:39: missing return'],
    [endless('loop { if a > 3u { return 1u; } break; }'), 'line 1:64: missing return'],
    [
      faulty('for (var i = 0u; i < 2u; i++) { if d[0] > 1u && d[1] > 2u || d[2] > 1u {} }'),
      "line 3:81: mixing '&&' and '||'",
    ],
    [
      faulty('loop { d[0] = d[1] && d[2]; break; }'),
      "line 3:55: no matching overload for 'operator &&",
    ],
    [faulty('d[0] = 1u;', '', '1, 1, 65'), 'line 3: the workgroup is 65 deep'],
    [faulty('d[0] = N;', 'override N: u32;'), 'line 1: override N has no value'],
    [faulty('d[0] = K;', 'override N: u32; override K = N + 1u;'), 'override N has no value'],
    [faulty('loop { d[0] = 1u / N; break; }', 'override N: u32 = 0;'), "line 3: '1 / 0'"],
    [faulty('d[0] = 1u << N;', 'override N: u32 = 40;'), 'line 3: shift left value'],
    [faulty('var a: array<u32, 4>; d[0] = a[N];', 'override N = 9;'), 'index 9 out of bounds'],
    [
      faulty('d.all[0].x = 1;').replace('array<u32>', 'S').replace(/^/, struct),
      'the buffer of binding 0 has 16 bytes, and the type that the kernel gives it needs at least 64',
    ],
  ])("a kernel's error is reported in its author's lines: %#", async (wgsl, why) => {
    const fault: unknown = await runJob(
      engine(),
      kernelJob({ wgsl, buffers: [{ sizeBytes: 16 }] }),
    ).then(
      () => undefined,
      (error: unknown) => error,
    )
    expect(fault).toMatchObject({
      code: 'invalid_request',
      detail: expect.stringContaining(why),
    })
    expect(String(fault)).not.toMatch(/unlabeled|SPIR-V|While /)
  })

  test('features of the device are offered and usable', async () => {
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
