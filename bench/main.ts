/** `npm run bench`: takes all figures, or those of the named benches. */
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { flag, number, readCommandLine, readNumber } from '#scripts/base/arguments.ts'
import { createLog } from '#shared/base/log.ts'
import { measureAudit } from './cases/audit.ts'
import { measureBatch } from './cases/batch.ts'
import { measureChat } from './cases/chat.ts'
import type { BenchContext } from './harness/context.ts'
import { measureDelivery } from './delivery/delivery.ts'
import { measureDispatch } from './cases/dispatch.ts'
import { measureGateway } from './cases/gateway.ts'
import type { BenchResult } from './harness/harness.ts'
import { measureEdgeMemory } from './memory/edge-memory.ts'
import { measureKernels } from './cases/kernels.ts'
import { createLiveStack } from './harness/live-stack.ts'
import { describeMachine } from './harness/machine.ts'
import { measureMemory } from './cases/memory.ts'
import { measureModel } from './cases/model.ts'
import { measurePause } from './cases/pause.ts'
import { measurePolicy } from './cases/policy.ts'
import { measureProfile } from './cases/profile.ts'
import { formatReport, type Report } from './harness/report.ts'
import { measureScale } from './cases/scale.ts'
import { measureSession } from './cases/session.ts'
import { measureSwitch } from './cases/switch.ts'
import { measureTail } from './cases/tail.ts'
import { measureVerify } from './verify/measure-verify.ts'
import { measureWgsl } from './cases/wgsl.ts'

const BENCHES: Readonly<Record<string, (context: BenchContext) => Promise<BenchResult>>> = {
  gateway: measureGateway,
  dispatch: measureDispatch,
  delivery: measureDelivery,
  session: measureSession,
  model: measureModel,
  chat: measureChat,
  batch: measureBatch,
  kernels: measureKernels,
  wgsl: measureWgsl,
  audit: measureAudit,
  switch: measureSwitch,
  memory: measureMemory,
  'edge-memory': measureEdgeMemory,
  policy: measurePolicy,
  pause: measurePause,
  tail: measureTail,
  scale: measureScale,
  verify: measureVerify,
  profile: measureProfile,
}
/** Run only when they are named: one gives no figure, and one takes long. */
const NAMED_ONLY: readonly string[] = ['profile', 'edge-memory']

const OPTIONS = {
  json: flag,
  quick: flag,
  verbose: flag,
  sizes: {
    read: (name: string, given: readonly string[]) =>
      (given.at(-1) ?? '256,512')
        .split(',')
        .map((size) => readNumber(name, size, { least: 1, most: 2048 })),
  },
  gpu: flag,
  'peak-tflops': number(undefined, { isWhole: false }),
  jobs: number(undefined, { least: 100 }),
}

const { values: flags, positionals } = readCommandLine(OPTIONS, { words: Object.keys(BENCHES) })
const kernels = { sizes: flags.sizes, gpu: flags.gpu, peakTflops: flags['peak-tflops'] }
const jobs = flags.jobs ?? (flags.quick ? 500 : 10_000)
const say = (text: string) => void process.stderr.write(`${text}\n`)
const all = Object.keys(BENCHES).filter((name) => !NAMED_ONLY.includes(name))
const chosen = positionals.length === 0 ? all : positionals

const dir = await mkdtemp(join(tmpdir(), 'littoral-bench-'))
const log = createLog({ level: flags.verbose ? 'debug' : 'error', write: say })
const stack = createLiveStack({ dir, log, say })
for (const signal of ['SIGINT', 'SIGTERM'] as const) process.on(signal, () => process.exit(1))
try {
  const benches: BenchResult[] = []
  for (const name of chosen) {
    const measure = BENCHES[name]
    if (measure === undefined) continue
    say(`Measuring: ${name}`)
    benches.push(await measure({ dir, log, quick: flags.quick, stack, kernels, jobs }))
  }
  const report: Report = {
    takenAt: new Date().toISOString(),
    command: ['npm run bench', ...(positionals.length === 0 ? [] : ['--', ...positionals])].join(
      ' ',
    ),
    quick: flags.quick,
    machine: describeMachine(),
    adapters: stack.adapters(),
    benches,
  }
  if (flags.json) process.stdout.write(`${JSON.stringify(report, null, 2)}\n`)
  else console.log(formatReport(report))
} finally {
  await stack.close()
  await rm(dir, { recursive: true, force: true })
}
