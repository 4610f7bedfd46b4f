/** Paced submissions of a runtime on a real device: their order, and where a stopped job ends. */
import fc from 'fast-check'
import { expect, test } from 'vitest'
import { paceDevice } from '#engine/pace/pace-device.ts'
import { openTestDevice } from '../support/wgsl/device.ts'

// Values of GPUBufferUsage and GPUMapMode: https://www.w3.org/TR/webgpu/#buffer-usage
const USAGE = { MAP_READ: 1, COPY_SRC: 4, COPY_DST: 8, UNIFORM: 64, STORAGE: 128 } as const
const MAP_READ = 1
const WGSL = `
@group(0) @binding(0) var<storage, read_write> sum: u32;
@group(0) @binding(1) var<uniform> factor: u32;
@compute @workgroup_size(1) fn main() { sum = sum * factor + 1u; }`

/** Works like a runtime: writes a number, dispatches a pass that reads it, repeats at once, and reads the answer at the end. */
async function openRuntime() {
  const { device } = await openTestDevice()
  let submitted = 0
  const submit = device.queue.submit.bind(device.queue)
  let onSubmit = () => {}
  device.queue.submit = (commands) => {
    submitted += 1
    submit(commands)
    onSubmit()
  }
  const pace = paceDevice(device, () => performance.now())
  const pipeline = await device.createComputePipelineAsync({
    layout: 'auto',
    compute: { module: device.createShaderModule({ code: WGSL }), entryPoint: 'main' },
  })
  const layout = pipeline.getBindGroupLayout(0)
  const run = async (factors: readonly number[]) => {
    const sum = device.createBuffer({ size: 4, usage: USAGE.STORAGE | USAGE.COPY_SRC })
    const factor = device.createBuffer({ size: 4, usage: USAGE.UNIFORM | USAGE.COPY_DST })
    const read = device.createBuffer({ size: 4, usage: USAGE.MAP_READ | USAGE.COPY_DST })
    const entries = [sum, factor].map((buffer, binding) => ({ binding, resource: { buffer } }))
    const group = device.createBindGroup({ layout, entries })
    const word = new Uint32Array(1)
    for (const value of factors) {
      // Reuses the same bytes, as a runtime does.
      word[0] = value
      device.queue.writeBuffer(factor, 0, word)
      const encoder = device.createCommandEncoder()
      const pass = encoder.beginComputePass()
      pass.setPipeline(pipeline)
      pass.setBindGroup(0, group)
      pass.dispatchWorkgroups(1)
      pass.end()
      device.queue.submit([encoder.finish()])
    }
    const encoder = device.createCommandEncoder()
    encoder.copyBufferToBuffer(sum, 0, read, 0, 4)
    device.queue.submit([encoder.finish()])
    for (const buffer of [sum, factor]) buffer.destroy()
    await read.mapAsync(MAP_READ)
    const [value = 0] = new Uint32Array(read.getMappedRange())
    read.destroy()
    return value
  }
  return {
    pace,
    run,
    submitted: () => submitted,
    onSubmit: (heard: () => void) => (onSubmit = heard),
  }
}

const NEVER = new AbortController().signal

test('[C5] waiting steps keep their order', async () => {
  const { pace, run } = await openRuntime()
  await fc.assert(
    fc.asyncProperty(
      fc.array(fc.integer({ min: 0, max: 0xffff }), { minLength: 1, maxLength: 40 }),
      async (factors) => {
        const expected = factors.reduce((sum, factor) => (Math.imul(sum, factor) + 1) >>> 0, 0)
        expect(await pace.during(NEVER, () => run(factors))).toBe(expected)
      },
    ),
    { numRuns: 20 },
  )
})

test('[C5] a stopped job submits nothing more, and the next one is complete', async () => {
  const { pace, run, submitted, onSubmit } = await openRuntime()
  const stop = new AbortController()
  onSubmit(() => stop.abort())
  await pace.during(stop.signal, () => run([3, 5, 7, 11, 13]))
  expect(submitted()).toBe(1)
  onSubmit(() => {})
  expect(await pace.during(NEVER, () => run([3, 5]))).toBe(6)
})
