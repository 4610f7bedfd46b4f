/** `npm run serve`: the production build in plain workerd on this machine, state on disk, no account anywhere. */
import { randomBytes } from 'node:crypto'
import { chmodSync, existsSync, readFileSync, writeFileSync } from 'node:fs'
import { join, resolve } from 'node:path'
import { z } from 'zod'
import { ReadyReply } from '#shared/api/network.ts'
import { createLog } from '#shared/base/log.ts'
import { MANIFESTS } from '#shared/job/manifests.ts'
import { buildPages, buildWorker, PAGES_DIR, WORKER_DIR } from '#scripts/build/build.ts'
import { readBundle } from '#scripts/build/bundle.ts'
import { exitCodeOf, readCommandLine, readPort, wordsOf } from '#scripts/base/arguments.ts'
import { repositoryPath } from '#scripts/base/paths.ts'
import { SETTINGS } from '#scripts/base/settings.ts'
import { claimPlace } from '#scripts/stack/claim-place.ts'
import { keepRunning, type Kept } from '#scripts/stack/keep-running.ts'
import { startWorkerd, type Workerd } from '#scripts/stack/workerd.ts'

/** Secrets that are made when nobody gives them. */
const Secrets = z.object({
  OPERATOR_KEY: z.string(),
  ADMISSION_SECRET: z.string(),
  LOG_KEY: z.string(),
})

type Vars = Readonly<Record<string, string>>

const OPTIONS = {
  options: {
    host: { type: 'string', default: '127.0.0.1' },
    port: { type: 'string', default: '8787' },
    state: { type: 'string', default: repositoryPath('.littoral/serve') },
    built: { type: 'boolean', default: false },
  },
} as const

const flags = readCommandLine(OPTIONS, ({ values }) => ({ ...values, port: readPort(values.port) }))
let workerd: Kept<Workerd> | undefined
const { promise: stopped, resolve: stop } = Promise.withResolvers<number>()
for (const signal of ['SIGINT', 'SIGTERM'] as const) {
  process.on(signal, () => (workerd === undefined ? process.exit(0) : stop(0)))
}
try {
  const code = await main()
  await workerd?.close()
  process.exit(code)
} catch (error) {
  console.error(wordsOf(error))
  process.exit(exitCodeOf(error))
}

async function main(): Promise<number> {
  const stateDir = resolve(flags.state)
  const given = givenSettings()
  if (given['JURISDICTION'] === 'cloudflare') {
    console.error('JURISDICTION=cloudflare is for npm run deploy; here name the place or leave it.')
    return 1
  }
  // Until this process ends, however it ends.
  await claimPlace({ stateDir, host: flags.host, port: flags.port })
  if (!flags.built) {
    console.log('Building the Worker and its pages')
    await buildPages(MANIFESTS)
    await buildWorker({ simulatedPlaces: false })
  }
  if (readBundle(WORKER_DIR).simulatedPlaces) {
    console.error(
      'dist/worker was built with simulated places; it is not served. Run npm run build.',
    )
    return 1
  }
  const vars: Vars = { ...loadSecrets(stateDir), ...given }
  const start = (before?: Workerd) =>
    startWorkerd({
      bundleDir: WORKER_DIR,
      stateDir,
      host: flags.host,
      port: before?.port ?? flags.port,
      vars,
      assetsDir: PAGES_DIR,
      log: createLog(),
      onLine: (line, stream) => void process[stream].write(`${line}\n`),
    })
  workerd = await keepRunning('workerd', start, {
    say: (text) => console.error(text),
    giveUp: ({ detail }) => {
      console.error(detail)
      stop(1)
    },
  })
  const { url } = workerd.current()
  writePrivate(join(stateDir, 'instance.json'), { url, OPERATOR_KEY: vars['OPERATOR_KEY'] })
  report(url, stateDir, vars)
  await reportFaults(url)
  return await stopped
}

function report(url: string, stateDir: string, vars: Vars): void {
  const lines = [
    '',
    `Serving ${url}`,
    `  contribute   ${url}/contribute`,
    `  compliance   ${url}/compliance`,
    `  API          ${url}/docs`,
    `  state        ${stateDir}`,
    `  secrets      ${join(stateDir, 'secrets.json')} (readable by you only)`,
    '',
    'First key:',
    `  npm run keys -- create --tenant acme --scope infer --scope policy --state ${stateDir}`,
    'For the console at /compliance, also --scope audit, and --scope admin for keys and erasure.',
  ]
  if ((vars['INGRESS_COUNTRY'] ?? '') === '') {
    lines.push(
      '',
      'INGRESS_COUNTRY is not set, so nobody knows where requests enter and every one is refused.',
      'Set it to the country of this machine, for instance INGRESS_COUNTRY=DE, or let a proxy say it.',
    )
  }
  if ((vars['CHAIN_RPC'] ?? '') === '') {
    lines.push('', 'CHAIN_RPC is not set: receipts are kept and nothing is settled.')
  }
  console.log(lines.join('\n'))
}

/** What is not ready, before the first request finds out. A new instance has no nodes yet. */
async function reportFaults(url: string): Promise<void> {
  const response = await fetch(`${url}/v2/health/ready`, { signal: AbortSignal.timeout(30_000) })
  const { parts } = ReadyReply.parse(await response.json())
  for (const [name, { ready, detail }] of Object.entries(parts))
    if (!ready && name !== 'nodes') console.error(`Not ready: ${name}: ${detail}`)
}

/** Made once and kept; only its owner may read the file. One that an older version made gets what it lacks. */
function loadSecrets(stateDir: string): z.infer<typeof Secrets> {
  const path = join(stateDir, 'secrets.json')
  const before: unknown = existsSync(path) ? JSON.parse(readFileSync(path, 'utf8')) : {}
  const kept = Secrets.partial().parse(before)
  const fresh = () => randomBytes(32).toString('hex')
  const secrets = {
    OPERATOR_KEY: kept.OPERATOR_KEY ?? fresh(),
    ADMISSION_SECRET: kept.ADMISSION_SECRET ?? fresh(),
    LOG_KEY: kept.LOG_KEY ?? `0x${fresh()}`,
  }
  if (Object.keys(kept).length < Object.keys(secrets).length) writePrivate(path, secrets)
  return secrets
}

/** Settings from the environment. */
function givenSettings(): Record<string, string> {
  return Object.fromEntries(
    SETTINGS.flatMap(({ name }) => {
      const value = process.env[name]
      return value === undefined ? [] : [[name, value]]
    }),
  )
}

function writePrivate(path: string, content: unknown): void {
  writeFileSync(path, `${JSON.stringify(content, null, 2)}\n`, { mode: 0o600 })
  chmodSync(path, 0o600)
}
