/** `npm run soak -- [PART…]`: runs the checks that take too long for the tests, and fails on any fault. */
import { flag, number, readCommandLine, runCommand } from '#scripts/base/arguments.ts'
import { soakKernels } from '#scripts/soak/kernels.ts'
import { soakResidency } from '#scripts/soak/residency.ts'
import { soakRoutes } from '#scripts/soak/routes.ts'

const OPTIONS = {
  seed: number(1),
  requests: number(100_000),
  concurrency: number(16),
  'no-node': flag,
  kernels: number(100_000),
  executed: number(1_000),
  decisions: number(1_000_000),
  cedar: number(100_000),
  lives: number(10_000),
}

interface PartResult {
  readonly report: object
  readonly faults: readonly string[]
}

/** Each part prints its seed, and returns its counts and its faults. */
const PARTS: Readonly<Record<string, () => Promise<PartResult>>> = {
  routes: () => soakRoutes({ ...values, hasNode: !values['no-node'] }),
  kernels: () => soakKernels(values),
  residency: () => soakResidency({ ...values, cedarCases: values.cedar }),
}

const { values, positionals } = readCommandLine(OPTIONS, { words: Object.keys(PARTS) })

async function main(): Promise<number> {
  let faults = 0
  for (const name of positionals.length > 0 ? positionals : Object.keys(PARTS)) {
    const result = await PARTS[name]?.()
    if (result === undefined) continue
    console.log(JSON.stringify({ part: name, ...result.report, faults: result.faults.length }))
    for (const fault of result.faults) console.error(fault)
    faults += result.faults.length
  }
  return faults === 0 ? 0 : 1
}

// Exiting ends the child processes too.
for (const signal of ['SIGINT', 'SIGTERM'] as const) process.once(signal, () => process.exit(130))
await runCommand(main)
