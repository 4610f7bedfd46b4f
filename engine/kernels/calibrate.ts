/** Measures how much weight a device processes a second: all its lanes together, and one alone. */
import { LIMITS } from '#shared/base/limits.ts'
import { BUFFER_USAGE } from '#engine/pace/gpu-buffers.ts'
import { inspectKernel } from './rewrite/inspect-kernel.ts'
import { createStopwatch } from './stopwatch.ts'
import type { Grant } from './rewrite/meter-kernel.ts'

/** Each turn reads memory at an address that the previous turn computed, so that caches and lanes cannot run ahead. */
const WGSL = `
@group(0) @binding(0) var<storage, read_write> table: array<u32>;
@compute @workgroup_size(64) fn main(@builtin(global_invocation_id) id: vec3<u32>) {
  let turns = table[0];
  var at = id.x * 40503u + 1u;
  var sum = 1.0;
  for (var turn = 0u; turn < turns; turn++) {
    at = at * 1664525u + table[(at >> 8u) & 262143u] + 1013904223u;
    sum = sum * 0.5 + f32(at & 255u);
  }
  if (sum < 0.0) { table[1u + (id.x & 255u)] = at; }
}`
const TABLE_BYTES = 1 << 20
/** Workgroups of 64 that occupy any device. The speed of one thread is measured with a single workgroup. */
const MANY = 1_024
/** Shorter runs are too inexact to use. */
const LONG_ENOUGH_MS = 8
const MOST_TURNS = 1 << 22
const RUNS = 3
/** Part of the time limit that a kernel is granted. Weights are rough, so the rest is reserve. */
const SHARE = 0.25
/** A software adapter shares its processor with other programs, and one share may be twice the mean. */
const SOFTWARE_SHARE = 0.1

/** CPU time of the process that emulates a GPU. It excludes what other programs use. */
export interface ProcessorClock {
  /** CPU time of all threads of this process so far, in ms. */
  readonly usedMs: () => number
  readonly cores: number
}

export interface CalibrateOptions {
  readonly device: GPUDevice
  readonly isSoftware: boolean
  readonly now: () => number
  /** Where this process emulates the device. @default none: the clock alone is used */
  readonly processor?: ProcessorClock | undefined
}

export async function calibrate(options: CalibrateOptions): Promise<Grant> {
  const { device, isSoftware } = options
  const { entry } = inspectKernel(WGSL, 'main')
  const turnWeight = entry.loops[0]?.weight ?? 1
  const module = device.createShaderModule({ code: WGSL })
  const pipeline = await device.createComputePipelineAsync({
    layout: 'auto',
    compute: { module, entryPoint: 'main' },
  })
  const usage = BUFFER_USAGE.STORAGE | BUFFER_USAGE.COPY_DST
  const table = device.createBuffer({ size: TABLE_BYTES, usage })
  const group = device.createBindGroup({
    layout: pipeline.getBindGroupLayout(0),
    entries: [{ binding: 0, resource: { buffer: table } }],
  })
  const stopwatch = createStopwatch(options)
  const time = async (groups: number, turns: number) => {
    device.queue.writeBuffer(table, 0, Uint32Array.of(turns))
    await device.queue.onSubmittedWorkDone()
    return stopwatch.time(groups, (pass) => {
      pass.setPipeline(pipeline)
      pass.setBindGroup(0, group)
      pass.dispatchWorkgroups(groups)
    })
  }
  /** The shortest of some runs: other load on the machine only lengthens them. */
  const quickest = async (groups: number, turns: number) => {
    let ms = Infinity
    for (let run = 0; run < RUNS; run += 1) ms = Math.min(ms, await time(groups, turns))
    return ms
  }
  /** Weight a second of each thread. */
  const pace = async (groups: number) => {
    let turns = 4
    let ms = await quickest(groups, turns)
    while (ms < LONG_ENOUGH_MS && turns < MOST_TURNS) ms = await quickest(groups, (turns *= 4))
    return (turnWeight * turns * 1_000) / Math.max(ms, 0.01)
  }
  try {
    const seconds = (LIMITS.kernelRunMs / 1_000) * (isSoftware ? SOFTWARE_SHARE : SHARE)
    const all = (await pace(MANY)) * MANY * 64
    return { total: all * seconds, each: (await pace(1)) * seconds, isPooled: !isSoftware }
  } finally {
    table.destroy()
    stopwatch.close()
  }
}
