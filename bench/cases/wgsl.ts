/** Measures what metering costs: the same kernels as written and rewritten, on the same device. */
import { calibrate } from '#engine/kernels/calibrate.ts'
import { inspectKernel } from '#engine/kernels/rewrite/inspect-kernel.ts'
import { meterKernel, type Grant } from '#engine/kernels/rewrite/meter-kernel.ts'
import { openDevice, softwareEnvironment } from '#local-node/engine/device.ts'
import type { BenchContext } from '../harness/context.ts'
import {
  measureSection,
  type BenchResult,
  type Contender,
  type Section,
} from '../harness/harness.ts'
import * as samples from '../wgsl/kernels.ts'
import { prepareKernel, type PreparedKernel } from '../wgsl/prepare.ts'

const INCLUDES = {
  'as written': 'one dispatch of the kernel as it was sent, submitted, until the device is done',
  metered: 'the same of the rewritten kernel, with its budget cleared before',
}
/** About how long the dispatches of one repetition take. */
const REPETITION_MS = 300
/** The bench's kernels get this many times the budget of a submitted one. */
const GENEROUS = 16

/** Sizes depend on the adapter, so that a dispatch takes milliseconds on either kind. */
function kernelsFor(isSoftware: boolean): Readonly<Record<string, samples.SampleKernel>> {
  const large = isSoftware ? 1 : 8
  return {
    'matrix product': samples.matmul(256 * (isSoftware ? 1 : 4)),
    'matrix product in tiles, with barriers': samples.tiledMatmul(256 * (isSoftware ? 1 : 4)),
    'transform of 256, with barriers': samples.fourier(128 * large),
    'bodies, each with each': samples.bodies(2_048 * large),
    'points that leave early': samples.mandelbrot(256 * large),
    'sorting in private memory': samples.sorting(4_096 * large),
  }
}

export async function measureWgsl({ quick }: BenchContext): Promise<BenchResult> {
  const opened = (await openDevice()) ?? (await openSoftware())
  if (opened === undefined) throw new Error('there is no WebGPU adapter on this machine')
  const { device, adapter } = opened
  const measured = await calibrate({
    device,
    isSoftware: adapter.isSoftware,
    now: () => performance.now(),
  })
  const grant = {
    ...measured,
    total: measured.total * GENEROUS,
    each: measured.each * GENEROUS,
  }
  const sections: Section[] = []
  for (const [name, sample] of Object.entries(kernelsFor(adapter.isSoftware)))
    sections.push(
      await measureOne(device, { name, sample, grant, quick, isSoftware: adapter.isSoftware }),
    )
  device.destroy()
  return {
    name: 'wgsl',
    title: `time of one dispatch, metered over as written, on ${adapter.name}${adapter.isSoftware ? ' (software)' : ''}`,
    sections,
    includes: INCLUDES,
    notes: [
      `This device is granted ${measured.total.toExponential(1)} units of weight for a dispatch, ${measured.each.toExponential(1)} for one invocation; the bench grants ${GENEROUS} times as much.`,
      'On a software adapter the kernel runs in this process, so its CPU time depends least on other load.',
      'Both outputs of each pair are equal bit for bit.',
    ],
  }
}

function openSoftware() {
  process.env.VK_DRIVER_FILES = softwareEnvironment(process.env)?.VK_DRIVER_FILES
  return openDevice()
}

interface Measured {
  readonly name: string
  readonly sample: samples.SampleKernel
  readonly grant: Grant
  readonly isSoftware: boolean
  readonly quick: boolean
}

async function measureOne(
  device: GPUDevice,
  { name, sample, grant, quick, isSoftware }: Measured,
): Promise<Section> {
  const report = inspectKernel(sample.wgsl, 'main')
  const groups = sample.workgroups.reduce((product, size) => product * size, 1)
  const { source, isMetered } = meterKernel(report, grant, groups * report.invocations)
  const written = await prepareKernel(device, sample, { code: sample.wgsl, isMetered: false })
  const metered = await prepareKernel(device, sample, { code: source, isMetered })
  await compare(name, written, metered)
  const repeats = Math.ceil((quick ? 50 : REPETITION_MS) / Math.max(0.2, await written.run()))
  const contender = (called: keyof typeof INCLUDES, kernel: PreparedKernel): Contender => ({
    name: called,
    async run() {
      const latencyMs: number[] = []
      const before = process.cpuUsage()
      for (let i = 0; i < repeats; i += 1) latencyMs.push(await kernel.run())
      const { user, system } = process.cpuUsage(before)
      return isSoftware ? { latencyMs, cpuMs: [(user + system) / 1_000 / repeats] } : { latencyMs }
    },
  })
  const section = await measureSection({
    name,
    contenders: [contender('as written', written), contender('metered', metered)],
    comparisons: ['latencyMs', ...(isSoftware ? ['cpuMs'] : [])].map((metric) => ({
      of: 'metered',
      to: 'as written',
      metric,
    })),
    rounds: quick ? 3 : 11,
  })
  written.destroy()
  metered.destroy()
  return section
}

/** @throws when the outputs differ or the budget ran out */
async function compare(
  name: string,
  written: PreparedKernel,
  metered: PreparedKernel,
): Promise<void> {
  await written.run()
  await metered.run()
  const [before, after] = [await written.read(), await metered.read()]
  if (after.spent !== 0) throw new Error(`${name} ran out of its budget`)
  if (before.words.some((word, i) => word !== after.words[i]))
    throw new Error(`${name} computes something else when it is metered`)
}
