/** `npm run serve`: runs the production build in plain workerd on this machine, without any account. */
import { join, resolve } from 'node:path'
import { ReadyReply } from '#shared/api/network.ts'
import { createLog } from '#shared/base/log.ts'
import { MANIFESTS } from '#shared/job/manifests.ts'
import { buildPages, buildWorker, PAGES_DIR, WORKER_DIR } from '#scripts/build/build.ts'
import { readBundle } from '#scripts/build/bundle.ts'
import { exitCodeOf, flag, port, readCommandLine, text, wordsOf } from '#scripts/base/arguments.ts'
import { repositoryPath } from '#scripts/base/paths.ts'
import { SETTINGS } from '#scripts/base/settings.ts'
import { claimPlace } from '#scripts/stack/claim-place.ts'
import { keepRunning, type Kept } from '#scripts/stack/keep-running.ts'
import { loadSecrets, writePrivate } from '#scripts/stack/secrets.ts'
import { startWorkerd, type Workerd } from '#scripts/stack/workerd.ts'

type Vars = Readonly<Record<string, string>>

const OPTIONS = {
  host: text('127.0.0.1'),
  port,
  state: text(repositoryPath('.littoral/serve')),
  built: flag,
}

const { values: flags } = readCommandLine(OPTIONS)
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
    console.error(
      'JURISDICTION=cloudflare is for npm run deploy; set a jurisdiction, or leave it out.',
    )
    return 1
  }
  // Held until this process ends.
  await claimPlace({ stateDir, host: flags.host, port: flags.port })
  if (!flags.built) {
    console.log('Building the Worker and its pages')
    await buildPages(MANIFESTS)
    await buildWorker({ simulatedPlaces: false })
  }
  if (readBundle(WORKER_DIR).simulatedPlaces) {
    console.error(
      'dist/worker was built with simulated places and is not served. Run npm run build.',
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
      'INGRESS_COUNTRY is not set, so the country of requests is unknown and all are refused.',
      'Set it to the country of this machine, such as INGRESS_COUNTRY=DE, or let a proxy send it.',
    )
  }
  if ((vars['CHAIN_RPC'] ?? '') === '') {
    lines.push('', 'CHAIN_RPC is not set: receipts are kept and not settled.')
  }
  console.log(lines.join('\n'))
}

/** Prints the parts that are not ready. A new instance has no nodes yet, so those are left out. */
async function reportFaults(url: string): Promise<void> {
  const response = await fetch(`${url}/v2/health/ready`, { signal: AbortSignal.timeout(30_000) })
  const { parts } = ReadyReply.parse(await response.json())
  for (const [name, { ready, detail }] of Object.entries(parts))
    if (!ready && name !== 'nodes') console.error(`Not ready: ${name}: ${detail}`)
}

function givenSettings(): Record<string, string> {
  return Object.fromEntries(
    SETTINGS.flatMap(({ name }) => {
      const value = process.env[name]
      return value === undefined ? [] : [[name, value]]
    }),
  )
}
