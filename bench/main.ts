/** `npm run bench`: all figures, or those of the benches named; `--json` ends with one document, `--quick` repeats less. */
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { readCommandLine, readNumber } from '#scripts/base/arguments.ts'
import { AppError } from '#shared/base/errors.ts'
import { createLog } from '#shared/base/log.ts'
import { measureAudit } from './cases/audit.ts'
import { measureBatch } from './cases/batch.ts'
import { measureChat } from './cases/chat.ts'
import type { BenchContext } from './harness/context.ts'
import { measureDispatch } from './cases/dispatch.ts'
import { measureGateway } from './cases/gateway.ts'
import type { BenchResult } from './harness/harness.ts'
import { measureKernels } from './cases/kernels.ts'
import { createLiveStack } from './harness/live-stack.ts'
import { describeMachine } from './harness/machine.ts'
import { measureMemory } from './cases/memory.ts'
import { measureModel } from './cases/model.ts'
import { measurePause } from './cases/pause.ts'
import { measurePolicy } from './cases/policy.ts'
import { measureProfile } from './cases/profile.ts'
import { formatReport, type Report } from './harness/report.ts'
import { measureSwitch } from './cases/switch.ts'
import { measureWgsl } from './cases/wgsl.ts'

const BENCHES: Readonly<Record<string, (context: BenchContext) => Promise<BenchResult>>> = {
  gateway: measureGateway,
  dispatch: measureDispatch,
  model: measureModel,
  chat: measureChat,
  batch: measureBatch,
  kernels: measureKernels,
  wgsl: measureWgsl,
  audit: measureAudit,
  switch: measureSwitch,
  memory: measureMemory,
  policy: measurePolicy,
  pause: measurePause,
  profile: measureProfile,
}
/** No figure, so it runs only when it is named. */
const NAMED_ONLY: readonly string[] = ['profile']

const OPTIONS = {
  allowPositionals: true,
  options: {
    json: { type: 'boolean', default: false },
    quick: { type: 'boolean', default: false },
    verbose: { type: 'boolean', default: false },
    sizes: { type: 'string', default: '256,512' },
    gpu: { type: 'boolean', default: false },
    'peak-tflops': { type: 'string' },
    jobs: { type: 'string' },
  },
} as const

const { flags, positionals, kernels, jobs } = readCommandLine(OPTIONS, (parsed) => {
  const unknown = parsed.positionals.filter((name) => !(name in BENCHES))
  if (unknown.length > 0)
    throw new AppError(
      'invalid_request',
      `No bench ${unknown.join(', ')}; there are ${Object.keys(BENCHES).join(', ')}.`,
    )
  const { sizes, gpu, jobs: jobCount, 'peak-tflops': peak, ...switches } = parsed.values
  return {
    flags: switches,
    positionals: parsed.positionals,
    kernels: {
      sizes: sizes.split(',').map((size) => readNumber('sizes', size, { least: 1, most: 2048 })),
      gpu,
      peakTflops:
        peak === undefined ? undefined : readNumber('peak-tflops', peak, { isWhole: false }),
    },
    jobs: readNumber('jobs', jobCount ?? (switches.quick ? '500' : '10000'), { least: 100 }),
  }
})
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
