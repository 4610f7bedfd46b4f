/** Dispatches in parts on a real device: the same answer as in one, and where a stopped job ends. */
import fc from 'fast-check'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { openKernels } from '#engine/kernel-work.ts'
import { compileKernel, type CompiledText } from '#engine/kernels/compile-kernel.ts'
import { dispatchKernel } from '#engine/kernels/dispatch-kernel.ts'
import { nextBox, productOf } from '#engine/pace/next-box.ts'
import { inspectKernel } from '#engine/kernels/rewrite/inspect-kernel.ts'
import { asWritten, meterKernel } from '#engine/kernels/rewrite/meter-kernel.ts'
import { splitKernel } from '#engine/kernels/rewrite/split-kernel.ts'
import type { NodeDevice } from '#local-node/engine/device.ts'
import { errorCode } from '#shared/base/errors.ts'
import type { KernelBuffer, KernelWork, LibraryWork } from '#shared/job/job.ts'
import { silentLog } from '#shared/base/log.ts'
import { kernelJob } from '#test/support/engine/engine-jobs.ts'
import { errorOf, libraryJob } from '#test/support/engine/library-jobs.ts'
import { openTestDevice } from '../support/wgsl/device.ts'
import { generateKernel } from '../support/wgsl/generate.ts'

let opened: NodeDevice
beforeAll(async () => {
  opened = await openTestDevice()
})
afterAll(() => opened.device.destroy())

const NEVER = new AbortController().signal
const AMPLE = { total: 1e12, each: 1e12, isPooled: true }
const MOST_GROUPS = 216
const SIZE = 6
const WORDS = MOST_GROUPS * SIZE * 4

/** Each invocation writes its position and what its kernel computes from it. */
const kernelOf = (head: string, parameters: string, body: string) => `${head}
@group(0) @binding(0) var<storage, read_write> o: array<u32>;
@group(0) @binding(1) var<storage, read_write> sum: atomic<u32>;
fn say(group: vec3u, id: vec3u, groups: vec3u, lane: u32, value: u32) {
  let at = (group.x + groups.x * (group.y + groups.y * group.z)) * ${SIZE}u + lane;
  o[at * 4u] = id.x + (id.y << 10u) + (id.z << 20u);
  o[at * 4u + 1u] = groups.x + (groups.y << 10u) + (groups.z << 20u);
  o[at * 4u + 2u] = value;
  o[at * 4u + 3u] += 1u;
  atomicAdd(&sum, id.x * 7u + id.y * 31u + group.z);
}
@compute @workgroup_size(3, 2) fn main(${parameters}) { ${body} }`

const KERNELS = {
  'parameters of its entry point': kernelOf(
    '',
    `@builtin(workgroup_id) g: vec3<u32>, @builtin(global_invocation_id) id: vec3u,
     @builtin(num_workgroups) n: vec3<u32>, @builtin(local_invocation_index) lane: u32,`,
    'say(g, id, n, lane, 5u);',
  ),
  'names of types as names of its own': kernelOf(
    'alias Three = vec3<u32>;',
    `@builtin(workgroup_id) vec3: Three, @builtin(global_invocation_id) u32: Three,
     @builtin(num_workgroups) array: Three, @builtin(local_invocation_index) lane: u32`,
    'say(vec3, u32, array, lane, u32.x);',
  ),
  'members of a structure': kernelOf(
    `struct At { @builtin(num_workgroups) n: vec3u, @builtin(local_invocation_index) lane: u32,
       @builtin(workgroup_id) g: vec3u, @builtin(global_invocation_id) id: vec3u }
     alias Place = At;
     fn twice(at: At) -> u32 { return at.id.y * 2u + at.lane; }`,
    'place: Place',
    'say(place.g, place.id, place.n, place.lane, twice(place));',
  ),
  'barriers and loops whose course its workgroup decides': kernelOf(
    'struct Groups { @builtin(workgroup_id) g: vec3u, @builtin(num_workgroups) n: vec3u } var<workgroup> w: array<u32, 6>;',
    `at: Groups, @builtin(global_invocation_id) id: vec3u, @builtin(local_invocation_index) lane: u32`,
    `w[lane] = id.x;
     for (var i = 0u; i < at.g.x + at.n.y; i++) {
       workgroupBarrier();
       let next = w[(lane + 1u) % ${SIZE}u] * 3u + i;
       workgroupBarrier();
       w[lane] = next;
     }
     if (at.g.y == 1u) { workgroupBarrier(); }
     say(at.g, id, at.n, lane, w[lane]);`,
  ),
} as const

interface Run {
  readonly wgsl: string
  readonly workgroups: readonly [number, number, number]
  readonly buffers?: readonly KernelBuffer[]
  /** Items of each piece, repeated. */
  readonly sizes: readonly number[]
  readonly text: (wgsl: string) => CompiledText
}

const BUFFERS = [
  { binding: 0, access: 'read_write', sizeBytes: WORDS * 4, filled: false, return: true },
  { binding: 1, access: 'read_write', sizeBytes: 4, filled: false, return: true },
] as const

async function run({ wgsl, workgroups, buffers = BUFFERS, sizes, text }: Run) {
  const { work, payload } = kernelJob({ wgsl, workgroups: [...workgroups], buffers: [] })
  const job = { ...work, buffers: [...buffers] }
  const made: GPUBuffer[] = []
  let parts = 0
  const compiled = await compileKernel(opened.device, job, text(wgsl))
  const { outputs, spent } = await dispatchKernel(opened.device, compiled, {
    work: job,
    payload,
    workgroupSize: inspectKernel(wgsl, 'main').workgroupSize,
    made,
    kept: new Map(),
    pieces: {
      size: () => sizes[parts % sizes.length] ?? 1,
      took: () => {},
      time: (_, once) => once(),
    },
    now: () => 0,
    check: () => void (parts += 1),
  })
  for (const buffer of made) buffer.destroy()
  expect(spent).toBe(0)
  return { words: outputs.map(({ bytes }) => [...new Uint32Array(bytes.buffer)]), parts }
}

const asItIs = (wgsl: string): CompiledText => ({
  ...asWritten(wgsl),
  isSplit: false,
  hasPart: false,
})
const split = (isPooled: boolean) => (wgsl: string) => {
  const report = inspectKernel(wgsl, 'main')
  const metered = meterKernel(report, { ...AMPLE, isPooled }, 1_000)
  return { ...metered, ...splitKernel(report, metered) }
}

const axis = fc.integer({ min: 1, max: 6 })
const dispatches = fc.record({
  workgroups: fc.tuple(axis, axis, axis),
  sizes: fc.array(fc.integer({ min: 1, max: 60 }), { minLength: 1, maxLength: 5 }),
  isPooled: fc.boolean(),
})

test.each(Object.entries(KERNELS))(
  '[U17] a kernel with %s computes the same in parts as at once',
  async (_, wgsl) => {
    await fc.assert(
      fc.asyncProperty(dispatches, async ({ workgroups, sizes, isPooled }) => {
        const whole = await run({ wgsl, workgroups, sizes: [Infinity], text: asItIs })
        const inParts = await run({ wgsl, workgroups, sizes, text: split(isPooled) })
        expect(whole.parts).toBe(1)
        expect(inParts.parts).toBeGreaterThanOrEqual(Math.ceil(productOf(workgroups) / 60))
        expect(inParts.words).toEqual(whole.words)
      }),
      { numRuns: 12 },
    )
  },
)

test('[U17] random kernels compute the same in parts as at once', async () => {
  const input = {
    binding: 1,
    access: 'read',
    sizeBytes: 256,
    filled: false,
    return: false,
  } as const
  const buffers = [{ ...BUFFERS[0], sizeBytes: 4 * 8 * 16 * 4 }, input]
  let ran = 0
  for (let seed = 1; ran < 12; seed += 1) {
    const wgsl = generateKernel(seed, { isFinite: true })
    if (isTooLarge(wgsl)) continue
    ran += 1
    const one = { wgsl, workgroups: [4, 1, 1], buffers } as const
    const whole = await run({ ...one, sizes: [Infinity], text: asItIs })
    const inParts = await run({ ...one, sizes: [1, 2], text: split(seed % 2 === 0) })
    expect(inParts.parts).toBe(3)
    expect(inParts.words, `seed ${seed}`).toEqual(whole.words)
  }
})

function isTooLarge(wgsl: string): boolean {
  try {
    inspectKernel(wgsl, 'main')
    return false
  } catch (error) {
    if (errorCode(error) === 'too_large') return true
    throw error
  }
}

test('[U17] boxes cover each workgroup once, in order', () => {
  fc.assert(
    fc.property(fc.tuple(axis, axis, axis), fc.integer({ min: 1, max: 300 }), (whole, most) => {
      const seen: number[] = []
      while (seen.length < productOf(whole)) {
        const { at, size } = nextBox(whole, seen.length, most)
        expect(productOf(size)).toBeLessThanOrEqual(most)
        for (let z = at[2]; z < at[2] + size[2]; z += 1)
          for (let y = at[1]; y < at[1] + size[1]; y += 1)
            for (let x = at[0]; x < at[0] + size[0]; x += 1)
              seen.push(x + whole[0] * (y + whole[1] * z))
      }
      expect(seen).toEqual(seen.map((_, index) => index))
    }),
  )
})

/** An engine's kernels on a device of their own, and what they submit. */
async function openCounted() {
  const { device, adapter } = await openTestDevice()
  const kernels = openKernels({
    device,
    adapter,
    kernels: 'any',
    kernelGrant: AMPLE,
    log: silentLog,
    now: () => performance.now(),
  })
  const submit = device.queue.submit.bind(device.queue)
  const counted = { submitted: 0, onSubmit: () => {} }
  device.queue.submit = (commands) => {
    counted.submitted += 1
    submit(commands)
    counted.onSubmit()
    return undefined
  }
  /** What a job submits that is stopped at its first submission. */
  const stopped = async (work: KernelWork | LibraryWork, payload: Uint8Array) => {
    const stop = new AbortController()
    counted.submitted = 0
    counted.onSubmit = () => stop.abort()
    const running = kernels.run(work, payload, stop.signal)
    await expect(running).rejects.toMatchObject({ code: 'cancelled' })
    counted.onSubmit = () => {}
    return counted.submitted
  }
  return { kernels, counted, stopped }
}

const SUBMITTED = kernelJob({
  wgsl: KERNELS['parameters of its entry point'],
  workgroups: [MOST_GROUPS, 1, 1],
  buffers: [{ sizeBytes: WORDS * 4 }, { binding: 1, sizeBytes: 4 }],
})
const LIBRARY = libraryJob({
  kernel: 'matmul@1',
  inputs: [
    { name: 'a', shape: [512, 256] },
    { name: 'b', shape: [256, 512] },
  ],
})

/** Makes the library choose its variants first. */
const SMALL = libraryJob({
  kernel: 'matmul@1',
  inputs: [
    { name: 'a', shape: [2, 2] },
    { name: 'b', shape: [2, 2] },
  ],
})

test('[C5] a stopped kernel ends with its current part', async () => {
  const { kernels, stopped } = await openCounted()
  const { work, payload } = SUBMITTED
  expect(await stopped(work, payload)).toBe(1)
  const { outputs } = await kernels.run(work, payload, NEVER)
  const words = new Uint32Array(outputs[0]?.buffer ?? new ArrayBuffer())
  expect(words.filter((_, index) => index % 4 === 3)).toEqual(
    new Uint32Array(MOST_GROUPS * SIZE).fill(1),
  )
  kernels.close()
})

test('[C5] a stopped kernel of the library ends with its current part, and parts give the right answer', async () => {
  const { kernels, counted, stopped } = await openCounted()
  await kernels.run(SMALL.work, SMALL.payload, NEVER)
  expect(await stopped(LIBRARY.work, LIBRARY.payload)).toBe(1)
  counted.submitted = 0
  const { outputs } = await kernels.run(LIBRARY.work, LIBRARY.payload, NEVER)
  expect(counted.submitted).toBeGreaterThan(1)
  expect(errorOf(LIBRARY, outputs[0] ?? new Uint8Array())).toBeLessThanOrEqual(1)
  kernels.close()
})
