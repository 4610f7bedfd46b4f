/** Every variant of each kernel on this machine's adapter, also those that only a real GPU would choose. */
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { createLibraryDevice, type LibraryDevice } from '#engine/kernels/library-device.ts'
import { computeJob } from '#engine/kernels/library-runner.ts'
import { LIBRARY } from '#engine/kernels/library/library.ts'
import { openDevice, softwareEnvironment, type NodeDevice } from '#local-node/engine/device.ts'
import { errorOf, libraryJob, type LibraryCase } from '#test/support/engine/library-jobs.ts'

let opened: NodeDevice
let library: LibraryDevice
/** Counts how often the clock is read: each measurement reads it. */
let looks = 0
beforeAll(async () => {
  const found = (await openDevice()) ?? (await openSoftware())
  if (found === undefined) throw new Error('there is no WebGPU adapter')
  opened = found
  const isSoftware = found.adapter.isSoftware
  const now = () => {
    looks += 1
    return performance.now()
  }
  library = createLibraryDevice({ device: found.device, isSoftware, now })
})
afterAll(() => opened?.device.destroy())

function openSoftware(): Promise<NodeDevice | undefined> {
  Object.assign(process.env, softwareEnvironment(process.env))
  return openDevice()
}

const JOBS: Readonly<Record<string, readonly LibraryCase[]>> = {
  'matmul@1': [
    [
      [1, 1],
      [1, 1],
    ],
    [
      [67, 30],
      [30, 70],
    ],
    [
      [2, 65, 17],
      [2, 17, 4],
    ],
  ].map(([a = [], b = []]) => ({
    kernel: 'matmul@1',
    inputs: [
      { name: 'a', shape: a },
      { name: 'b', shape: b },
    ],
  })),
  'softmax@1': [
    [64, 1],
    [70, 300],
    [3, 700],
  ].map((shape) => ({ kernel: 'softmax@1', inputs: [{ name: 'x', shape }] })),
  'histogram@1': [
    {
      kernel: 'histogram@1',
      inputs: [{ name: 'x', shape: [40_000] }],
      params: { bins: 300, min: -1, max: 0.5 },
    },
  ],
}

const WAYS = LIBRARY.flatMap(({ name, variants }) =>
  [...new Set([...variants.software, ...variants.hardware])].map((variant) => ({ name, variant })),
).filter(({ name }) => name in JOBS)

describe('every variant', () => {
  test.each(WAYS)('[K8] $name by $variant agrees with the CPU', async ({ name, variant }) => {
    for (const given of JOBS[name] ?? []) {
      const job = libraryJob(given)
      const prepared = await library.prepare(job.resolved, variant)
      const [output] = await computeJob(opened.device, prepared, {
        job: job.resolved,
        payload: job.payload,
        check: () => {},
      })
      prepared.destroy()
      expect(errorOf(job, output?.bytes ?? new Uint8Array())).toBeLessThanOrEqual(1)
    }
  })

  test('[K8] all kernels with several variants are tested here', () => {
    const several = LIBRARY.filter(
      ({ variants }) => new Set([...variants.software, ...variants.hardware]).size > 1,
    )
    expect(several.map(({ name }) => name)).toEqual(Object.keys(JOBS))
  })

  test('[K8] a variant is chosen once, among those for this kind of adapter', async () => {
    const first = await library.variantOf('matmul@1')
    const { variants } = LIBRARY.find(({ name }) => name === 'matmul@1') ?? {}
    const kind = opened.adapter.isSoftware ? 'software' : 'hardware'
    expect(variants?.[kind]).toContain(first)
    const before = looks
    expect(await library.variantOf('matmul@1')).toBe(first)
    expect(looks).toBe(before)
  })
})
