/** Soak of the routes: hostile requests to every route of a Worker of its own, with one local node. */
import { mkdtemp, readFile, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { silentLog } from '#shared/base/log.ts'
import { buildWorker } from '#scripts/build/build.ts'
import { fuzzRoutes, type FuzzReport } from '#scripts/fuzz/run.ts'
import { startNodeProcess } from '#scripts/stack/node-process.ts'
import { createOperator } from '#scripts/stack/operator.ts'
import { repositoryPath } from '#scripts/base/paths.ts'
import { startWorkerd } from '#scripts/stack/workerd.ts'

const OPERATOR_KEY = 'operator-of-this-soak'
const PROGRESS_EVERY = 5_000

export interface RouteSoakOptions {
  readonly requests: number
  readonly seed: number
  readonly concurrency: number
  /** Without a node every job fails fast with no_capacity. */
  readonly hasNode: boolean
}

export async function soakRoutes(options: RouteSoakOptions) {
  const dir = await mkdtemp(join(tmpdir(), 'littoral-soak-'))
  const closers: (() => Promise<void>)[] = [() => rm(dir, { recursive: true, force: true })]
  try {
    const { faults, ...report } = await fuzz(dir, closers, options)
    return { report, faults }
  } finally {
    for (const close of closers.toReversed()) await close()
  }
}

async function fuzz(
  dir: string,
  closers: (() => Promise<void>)[],
  { requests, seed, concurrency, hasNode }: RouteSoakOptions,
): Promise<FuzzReport> {
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
  void worker.ended.then(() => (isAlive = false))
  const operator = createOperator(worker.url, OPERATOR_KEY)
  const scopes = ['infer', 'policy', 'audit', 'admin']
  const own = await operator.createKey({ tenant: 'acme', scopes })
  const other = await operator.createKey({ tenant: 'other', scopes })
  if (hasNode) {
    const { key } = await operator.createKey({ tenant: 'operator', scopes: ['node'] })
    const place = { name: 'soak', region: 'DE', simulatedPlace: 'DE', device: 'cpu' as const }
    const node = await startNodeProcess({ ...place, hub: worker.url, dir, key, log: silentLog })
    closers.push(() => node.close())
  }
  const description: unknown = JSON.parse(
    await readFile(repositoryPath('docs/openapi.json'), 'utf8'),
  )
  const keys = { own: own.key, other: other.key, operator: OPERATOR_KEY }
  const target = { url: worker.url, keys, isAlive: () => isAlive }
  const onProgress = tellProgress()
  return await fuzzRoutes(description, target, { requests, seed, concurrency, onProgress })
}

function tellProgress() {
  const startedMs = performance.now()
  return (done: number, faults: number) => {
    if (done % PROGRESS_EVERY !== 0) return
    const seconds = Math.round((performance.now() - startedMs) / 1000)
    console.error(`${done} requests in ${seconds} s, ${faults} faults`)
  }
}
