/** `npm run soak -- [PART…]`: what takes too long for the tests, part by part; no fault may come of it. */
import { parseArgs } from 'node:util'
import { soakKernels } from '#scripts/soak/kernels.ts'
import { soakResidency } from '#scripts/soak/residency.ts'
import { soakRoutes } from '#scripts/soak/routes.ts'

const { values, positionals } = parseArgs({
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
})
const seed = Number(values.seed)

interface PartResult {
  readonly report: object
  readonly faults: readonly string[]
}

/** Each prints its seed, and gives what it counted and what must not have happened. */
const PARTS: Readonly<Record<string, () => Promise<PartResult>>> = {
  routes: () =>
    soakRoutes({
      requests: Number(values.requests),
      seed,
      concurrency: Number(values.concurrency),
      hasNode: !values['no-node'],
    }),
  kernels: () =>
    soakKernels({ kernels: Number(values.kernels), executed: Number(values.executed), seed }),
  residency: () =>
    soakResidency({
      decisions: Number(values.decisions),
      cedarCases: Number(values.cedar),
      lives: Number(values.lives),
      seed,
    }),
}

async function main(): Promise<number> {
  const names = positionals.length > 0 ? positionals : Object.keys(PARTS)
  let faults = 0
  for (const name of names) {
    const part = PARTS[name]
    if (part === undefined)
      throw new Error(`no part ${name}; there are ${Object.keys(PARTS).join(', ')}`)
    const result = await part()
    console.log(JSON.stringify({ part: name, ...result.report, faults: result.faults.length }))
    for (const fault of result.faults) console.error(fault)
    faults += result.faults.length
  }
  return faults === 0 ? 0 : 1
}

// A soak that is interrupted leaves no process behind.
for (const signal of ['SIGINT', 'SIGTERM'] as const) process.once(signal, () => process.exit(130))
process.exitCode = await main()
