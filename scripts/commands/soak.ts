/** `npm run soak -- [PART…]`: what takes too long for the tests, part by part; no fault may come of it. */
import { readCommandLine, readNumber, USAGE_EXIT } from '#scripts/base/arguments.ts'
import { soakKernels } from '#scripts/soak/kernels.ts'
import { soakResidency } from '#scripts/soak/residency.ts'
import { soakRoutes } from '#scripts/soak/routes.ts'

const OPTIONS = {
  allowPositionals: true,
  options: {
    seed: { type: 'string', default: '1' },
    requests: { type: 'string', default: '100000' },
    concurrency: { type: 'string', default: '16' },
    'no-node': { type: 'boolean', default: false },
    kernels: { type: 'string', default: '100000' },
    executed: { type: 'string', default: '1000' },
    decisions: { type: 'string', default: '1000000' },
    cedar: { type: 'string', default: '100000' },
    lives: { type: 'string', default: '10000' },
  },
} as const

const given = readCommandLine(OPTIONS, ({ values, positionals }) => {
  const { 'no-node': isAlone, ...numbers } = values
  const number = (name: keyof typeof numbers) => readNumber(name, numbers[name])
  return {
    names: positionals,
    hasNode: !isAlone,
    seed: number('seed'),
    requests: number('requests'),
    concurrency: number('concurrency'),
    kernels: number('kernels'),
    executed: number('executed'),
    decisions: number('decisions'),
    cedarCases: number('cedar'),
    lives: number('lives'),
  }
})

interface PartResult {
  readonly report: object
  readonly faults: readonly string[]
}

/** Each prints its seed, and gives what it counted and what must not have happened. */
const PARTS: Readonly<Record<string, () => Promise<PartResult>>> = {
  routes: () => soakRoutes(given),
  kernels: () => soakKernels(given),
  residency: () => soakResidency(given),
}

async function main(): Promise<number> {
  const names = given.names.length > 0 ? given.names : Object.keys(PARTS)
  const unknown = names.find((name) => !(name in PARTS))
  if (unknown !== undefined) {
    console.error(`There is no part ${unknown}; there are ${Object.keys(PARTS).join(', ')}.`)
    return USAGE_EXIT
  }
  let faults = 0
  for (const name of names) {
    const result = await PARTS[name]?.()
    if (result === undefined) continue
    console.log(JSON.stringify({ part: name, ...result.report, faults: result.faults.length }))
    for (const fault of result.faults) console.error(fault)
    faults += result.faults.length
  }
  return faults === 0 ? 0 : 1
}

// A soak that is interrupted leaves no process behind.
for (const signal of ['SIGINT', 'SIGTERM'] as const) process.once(signal, () => process.exit(130))
process.exitCode = await main()
