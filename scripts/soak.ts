/** `npm run soak -- --requests N`: hostile requests to every described route of a Worker of its own, with one local node. */
import { mkdtemp, readFile, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { parseArgs } from 'node:util'
import { silentLog } from '#shared/log.ts'
import { buildWorker } from './build.ts'
import { fuzzRoutes, type FuzzReport } from './lib/fuzz/run.ts'
import { startNodeProcess } from './lib/node-process.ts'
import { createOperator } from './lib/operator.ts'
import { repositoryPath } from './lib/paths.ts'
import { startWorkerd } from './lib/workerd.ts'

const OPERATOR_KEY = 'operator-of-this-soak'
const PROGRESS_EVERY = 5_000

const { values } = parseArgs({
  options: {
    requests: { type: 'string', default: '100000' },
    seed: { type: 'string', default: '1' },
    concurrency: { type: 'string', default: '16' },
    /** Without a node every job ends at no_capacity, sooner. */
    'no-node': { type: 'boolean', default: false },
  },
})

async function main(): Promise<number> {
  const dir = await mkdtemp(join(tmpdir(), 'littoral-soak-'))
  const closers: (() => Promise<void>)[] = [() => rm(dir, { recursive: true, force: true })]
  try {
    const report = await soak(dir, closers)
    console.log(JSON.stringify({ ...report, faults: report.faults.length }, null, 2))
    for (const fault of report.faults) console.error(fault)
    return report.faults.length === 0 ? 0 : 1
  } finally {
    for (const close of closers.toReversed()) await close()
  }
}

async function soak(dir: string, closers: (() => Promise<void>)[]): Promise<FuzzReport> {
  const bundleDir = join(dir, 'bundle')
  await buildWorker({ outDir: bundleDir, simulatedPlaces: true })
  const worker = await startWorkerd({
    bundleDir,
    stateDir: join(dir, 'state'),
    assetsDir: join(dir, 'assets'),
    log: silentLog,
    vars: { INGRESS_COUNTRY: 'DE', OPERATOR_KEY, ADMISSION_SECRET: 'the secret of this soak' },
  })
  closers.push(() => worker.close())
  let isAlive = true
  void worker.exited.then(() => (isAlive = false))
  const operator = createOperator(worker.url, OPERATOR_KEY)
  const scopes = ['infer', 'policy', 'audit', 'admin']
  const own = await operator.createKey({ tenant: 'acme', scopes })
  const other = await operator.createKey({ tenant: 'other', scopes })
  if (!values['no-node']) {
    const { key } = await operator.createKey({ tenant: 'operator', scopes: ['node'] })
    const place = { name: 'soak', region: 'DE', device: 'cpu' as const }
    const node = await startNodeProcess({ ...place, hub: worker.url, dir, key, log: silentLog })
    closers.push(() => node.close())
  }
  const description: unknown = JSON.parse(
    await readFile(repositoryPath('docs/openapi.json'), 'utf8'),
  )
  const startedMs = performance.now()
  return await fuzzRoutes(
    description,
    {
      url: worker.url,
      keys: { own: own.key, other: other.key, operator: OPERATOR_KEY },
      isAlive: () => isAlive,
    },
    {
      requests: Number(values.requests),
      seed: Number(values.seed),
      concurrency: Number(values.concurrency),
      onProgress(done, faults) {
        if (done % PROGRESS_EVERY !== 0) return
        const seconds = Math.round((performance.now() - startedMs) / 1000)
        console.error(`${done} requests in ${seconds} s, ${faults} faults`)
      },
    },
  )
}

// A soak that is interrupted leaves no process behind.
for (const signal of ['SIGINT', 'SIGTERM'] as const) process.once(signal, () => process.exit(130))
process.exitCode = await main()
