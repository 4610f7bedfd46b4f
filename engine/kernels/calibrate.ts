/** Measures how much weight a device works off in a second of its own time: by all its lanes together, and by one alone. */
import { LIMITS } from '#shared/base/limits.ts'
import { inspectKernel } from './rewrite/inspect-kernel.ts'
import { createStopwatch } from './stopwatch.ts'
import type { Grant } from './rewrite/meter-kernel.ts'

/** Each turn computes and reads memory at a place that the turn before decides, so that no cache or lane runs ahead. */
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
/** Workgroups of 64 that fill any device, and the one of which a single thread's pace is taken. */
const MANY = 1_024
/** A run of this length is measured well. */
const LONG_ENOUGH_MS = 8
const MOST_TURNS = 1 << 22
const RUNS = 3
/** Of the time limit: weights are rough, and what they miss must fit in the rest. */
const SHARE = 0.25
/** A software adapter shares its processor with all else that the machine does, and uneven shares may be twice this. */
const SOFTWARE_SHARE = 0.1

// Values of GPUBufferUsage: https://www.w3.org/TR/webgpu/#buffer-usage
const STORAGE_AND_COPY_DST = 128 | 8

/** Time of the processor that plays a GPU: what else the machine does is not in it. */
export interface ProcessorClock {
  /** CPU time of all threads of this process so far, in ms. */
  readonly usedMs: () => number
  /** Threads that run at once. */
  readonly cores: number
}

export interface CalibrateOptions {
  readonly device: GPUDevice
  readonly isSoftware: boolean
  /** Monotonic clock in ms. */
  readonly now: () => number
  /** Where the device is this process's own work. @default the clock alone */
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
  const table = device.createBuffer({ size: TABLE_BYTES, usage: STORAGE_AND_COPY_DST })
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
  /** The best of some runs, since what else the machine does only slows it. */
  const quickest = async (groups: number, turns: number) => {
    let ms = Infinity
    for (let run = 0; run < RUNS; run += 1) ms = Math.min(ms, await time(groups, turns))
    return ms
  }
  /** Weight a second and thread. */
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
