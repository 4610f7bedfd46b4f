/**
 * Rewritten kernels on a real compiler and device. They compile when the originals do, compute the same bits, and
 * never block a local node.
 */
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { watchDevice } from '#engine/kernels/device-watch.ts'
import { createKernelRunner } from '#engine/kernels/kernel-runner.ts'
import { openKernels } from '#engine/kernel-work.ts'
import { inspectKernel } from '#engine/kernels/rewrite/inspect-kernel.ts'
import { meterKernel, type MeteredKernel } from '#engine/kernels/rewrite/meter-kernel.ts'
import { createNodeEngine } from '#local-node/engine/engine-host.ts'
import { errorCode, invariant } from '#shared/base/errors.ts'
import { LIMITS } from '#shared/base/limits.ts'
import { silentLog } from '#shared/base/log.ts'
import type { NodeDevice } from '#local-node/engine/device.ts'
import { kernelJob } from '#test/support/engine/engine-jobs.ts'
import { compileErrors, inputWords, openTestDevice, runRaw } from '../support/wgsl/device.ts'
import {
  executedKernels,
  executeKernels,
  OVERRUNS_PER_HUNDRED,
  PROBE,
} from '../support/wgsl/execute.ts'
import { generateKernel, mutateKernel, OWN_WORDS } from '../support/wgsl/generate.ts'
import { GRAMMAR } from '../support/wgsl/grammar.ts'
import { HOSTILE_TO_RUN } from '../support/wgsl/hostile.ts'
import { SAMPLES } from '../../bench/wgsl/kernels.ts'

const AMPLE = { total: 1e12, each: 1e9, isPooled: true }
const EXECUTED = Number(process.env.LITTORAL_FUZZ_EXECUTED ?? 200)
const COMPARED = Number(process.env.LITTORAL_FUZZ_EXECUTED ?? 60)

function meter(source: string, isPooled = true) {
  return meterKernel(inspectKernel(source, 'main'), { ...AMPLE, isPooled }, 32)
}

const NEVER = new AbortController().signal

describe('a rewritten kernel', () => {
  let opened: NodeDevice
  beforeAll(async () => {
    opened = await openTestDevice()
  })
  afterAll(() => opened?.device.destroy())

  test.each(Object.entries({ ...GRAMMAR, ...HOSTILE_TO_RUN }))(
    '[U4] compiles as the original does: %s',
    async (_, source) => {
      expect(await compileErrors(opened.device, source)).toEqual([])
      for (const isPooled of [true, false])
        expect(await compileErrors(opened.device, meter(source, isPooled).source)).toEqual([])
    },
  )

  test.each(Object.entries(SAMPLES))(
    '[U4] computes the same bits: %s',
    async (_, { wgsl, workgroups, inputWords: count, outputWords }) => {
      const input = inputWords(count)
      const same = { workgroups, input, outputWords, outputBinding: 1 } as const
      const before = await runRaw(opened.device, { ...same, code: wgsl, isMetered: false })
      for (const isPooled of [true, false]) {
        const { source, isMetered } = meter(wgsl, isPooled)
        const after = await runRaw(opened.device, { ...same, code: source, isMetered })
        expect(after.spent).toBe(0)
        expect(Buffer.compare(Buffer.from(before.words), Buffer.from(after.words))).toBe(0)
      }
      expect(before.words.some((word) => word !== 0)).toBe(true)
    },
  )

  test(
    '[U4] generated kernels and gentle mutations compile when the originals do, and compute the same bits',
    { timeout: 60_000 + COMPARED * 10_000 },
    async () => {
      let compared = 0
      for (let seed = 0; seed < COMPARED; seed += 1) {
        const made = generateKernel(seed, { isFinite: true })
        const wgsl = seed % 3 === 0 ? mutateKernel(made, made, 2 * seed) : made
        if ((await compileErrors(opened.device, wgsl)).length > 0) continue
        let metered: MeteredKernel
        try {
          metered = meter(wgsl, seed % 2 === 0)
        } catch (error) {
          // Some random kernels are too large to compile.
          expect(errorCode(error), `seed ${seed}`).toBe('too_large')
          continue
        }
        const { source, isMetered } = metered
        expect(await compileErrors(opened.device, source), `seed ${seed}`).toEqual([])
        // A mutation may be endless, or race.
        if (wgsl !== made) continue
        const input = Uint32Array.from({ length: 64 }, (_, i) => i * 2_654_435_761)
        const same = {
          workgroups: [4, 1, 1],
          input,
          outputWords: 32 * OWN_WORDS,
          outputBinding: 0,
        } as const
        const before = await runRaw(opened.device, { ...same, code: wgsl, isMetered: false })
        const after = await runRaw(opened.device, { ...same, code: source, isMetered })
        expect(after.spent, `seed ${seed}`).toBe(0)
        expect([...after.words], `seed ${seed}`).toEqual([...before.words])
        compared += 1
      }
      expect(compared).toBeGreaterThan(COMPARED / 2)
    },
  )

  test.each([
    ['shared by all', { total: 1e5, each: 1e9, isPooled: true }],
    ['shared out', { total: 1e5, each: 1e9, isPooled: false }],
    ['of one invocation', { total: 1e12, each: 1e3, isPooled: true }],
  ])(
    '[U5] over a budget %s it gives no answer, and reports the line of the loop',
    async (_, grant) => {
      const wgsl = HOSTILE_TO_RUN['an endless for']
      invariant(wgsl, 'it is there')
      const runner = createKernelRunner({
        device: opened.device,
        isSoftware: true,
        times: LIMITS,
        now: () => performance.now(),
        grant,
        watch: watchDevice(opened.device, () => {}),
      })
      const { work, payload } = kernelJob({ wgsl, buffers: [{ sizeBytes: 64 }] })
      await expect(runner.run(work, payload, { signal: NEVER })).rejects.toMatchObject({
        code: 'no_capacity',
        meta: { rule: 'kernels.budget' },
        detail: expect.stringContaining('line 2'),
      })
    },
  )

  test('[U6] clearing workgroup memory is weighed for every workgroup', () => {
    const wgsl = `@group(0) @binding(0) var<storage, read_write> o: array<u32>;
var<workgroup> w: array<u32, 4096>;
@compute @workgroup_size(1) fn main() { w[o[0]] = 1u; o[0] = w[o[1]]; }`
    const report = inspectKernel(wgsl, 'main')
    expect(meterKernel(report, { total: 1e8, each: 1e8, isPooled: true }, 1_000).isMetered).toBe(
      false,
    )
    expect(() => meterKernel(report, { total: 1e8, each: 1e8, isPooled: true }, 1 << 18)).toThrow(
      expect.objectContaining({ code: 'no_capacity' }),
    )
  })

  test('[U6] a dispatch over the grant outside its loops is refused without running', async () => {
    const { workgroups, wgsl } = SAMPLES.sorting ?? {}
    invariant(workgroups && wgsl, 'it is there')
    expect(() =>
      meterKernel(inspectKernel(wgsl, 'main'), { total: 1e3, each: 1e9, isPooled: true }, 1e6),
    ).toThrow(expect.objectContaining({ code: 'no_capacity' }))
  })
})

describe('a kernel that hangs its device', () => {
  /** Runs for seconds, which its grant allows. */
  const wgsl = `@group(0) @binding(0) var<storage, read_write> o: array<u32>;
@compute @workgroup_size(64) fn main(@builtin(global_invocation_id) id: vec3<u32>) {
  var x = id.x;
  for (var i = 0u; i < 2000000u; i++) { x = x * 1664525u + o[x & 63u]; }
  o[id.x] = x;
}`
  const plain = kernelJob({ wgsl: PROBE, buffers: [{ sizeBytes: 4 }] })
  const hanging = kernelJob({ wgsl, buffers: [{ sizeBytes: 256 }] })

  test('[U9] is reported, and its device is left alone and runs nothing more', async () => {
    const first = await openTestDevice()
    let destroyed = false
    void first.device.lost.then(() => (destroyed = true))
    const lost: string[] = []
    const kernels = openKernels({
      device: first.device,
      adapter: first.adapter,
      kernels: 'any',
      kernelTimes: { kernelCompileMs: 15_000, kernelRunMs: 100 },
      kernelGrant: AMPLE,
      log: silentLog,
      now: () => performance.now(),
      onDeviceLost: (reason) => lost.push(reason),
    })
    expect(kernels.kernels()).toBe('any')
    await expect(kernels.run(hanging.work, hanging.payload, NEVER)).rejects.toMatchObject({
      code: 'node_timeout',
      meta: { rule: 'kernels.hang' },
    })
    expect(lost).toEqual([expect.stringContaining('100 ms')])
    expect(kernels.kernels()).toEqual([])
    await expect(kernels.run(plain.work, plain.payload, NEVER)).rejects.toMatchObject({
      code: 'node_lost',
    })
    await first.device.queue.onSubmittedWorkDone()
    expect(destroyed).toBe(false)
    kernels.close()
    first.device.destroy()
  })
})

describe('a local node', () => {
  test(
    `[U8] serves on after ${EXECUTED} strangers' kernels`,
    { timeout: 60_000 + EXECUTED * 10_000 },
    async () => {
      const engine = await createNodeEngine({
        device: 'auto',
        kernels: 'any',
        models: [],
        log: silentLog,
      })
      try {
        const report = await executeKernels(engine, executedKernels(EXECUTED))
        expect(report.ended.length, report.ended.join('; ')).toBeLessThanOrEqual(
          (EXECUTED / 100) * OVERRUNS_PER_HUNDRED,
        )
        expect(report.outcomes.get('answered') ?? 0).toBeGreaterThan(EXECUTED / 10)
        expect(report.outcomes.get('no_capacity') ?? 0).toBeGreaterThan(EXECUTED / 20)
        console.log(`local node: ${JSON.stringify(report.summary)}`)
      } finally {
        await engine.close()
      }
    },
  )
})
