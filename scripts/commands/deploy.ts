/** `npm run deploy`: `wrangler deploy`; `--check` lists the secrets and vars that it needs, and which are there. */
import { spawnSync } from 'node:child_process'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { unstable_readConfig } from 'wrangler'
import { z } from 'zod'
import { MANIFESTS } from '#shared/job/manifests.ts'
import { buildPages, buildWorker } from '#scripts/build/build.ts'
import { flag, readCommandLine, runCommand } from '#scripts/base/arguments.ts'
import { repositoryPath } from '#scripts/base/paths.ts'
import { reportSettings, SETTINGS } from '#scripts/base/settings.ts'

const WRANGLER = repositoryPath('node_modules/wrangler/bin/wrangler.js')
const OPTIONS = {
  check: flag,
}

const { values } = readCommandLine(OPTIONS)
await runCommand(main)

async function main(): Promise<number> {
  const isReady = check()
  if (values.check || !isReady) return isReady ? 0 : 1
  await buildPages(MANIFESTS)
  await buildWorker({ simulatedPlaces: false })
  return deploy()
}

/** Prints which settings are there. @returns whether a deploy would work */
function check(): boolean {
  const vars = readVars()
  const remote = readRemoteSecrets()
  const { lines, missing } = reportSettings(({ name, kind }) => {
    if ((process.env[name] ?? '') !== '') return 'environment'
    if (kind === 'secret') return remote?.includes(name) === true ? 'Cloudflare' : undefined
    // wrangler.toml has "0" where there is no chain.
    return ['', '0'].includes(vars[name] ?? '') ? undefined : 'wrangler.toml'
  })
  for (const line of lines) console.log(line)
  if (remote === undefined) {
    console.log('\nNot logged in to Cloudflare, or no such Worker yet: its secrets cannot be read.')
  }
  if (missing.length === 0) {
    console.log('\nReady to deploy.')
    return true
  }
  console.log(
    `\nMissing: ${missing.join(', ')}. ` +
      'Put secrets with `npx wrangler secret put NAME`, or secrets and vars into the environment.',
  )
  return false
}

function readVars(): Record<string, string> {
  const config: unknown = unstable_readConfig({ config: repositoryPath('wrangler.toml') })
  return z.object({ vars: z.record(z.string(), z.string()) }).parse(config).vars
}

/** Names of the deployed Worker's secrets; undefined where Cloudflare does not tell. */
function readRemoteSecrets(): string[] | undefined {
  const listed = runWrangler(['secret', 'list', '--format', 'json'], 'pipe')
  if (listed.status !== 0) return undefined
  const names = z.array(z.object({ name: z.string() })).safeParse(parseJson(listed.stdout))
  return names.data?.map(({ name }) => name)
}

/** Passes secrets in a file that only this user can read, and vars as arguments. */
function deploy(): number {
  const given = SETTINGS.filter(({ name }) => (process.env[name] ?? '') !== '')
  const value = (name: string) => process.env[name] ?? ''
  const vars = given.filter(({ kind }) => kind === 'var')
  const secrets = given.filter(({ kind }) => kind === 'secret')
  const folder = mkdtempSync(join(tmpdir(), 'littoral-'))
  try {
    const file = join(folder, 'secrets.json')
    const content = Object.fromEntries(secrets.map(({ name }) => [name, value(name)]))
    writeFileSync(file, JSON.stringify(content), { mode: 0o600 })
    const args = [
      'deploy',
      '--minify',
      ...vars.flatMap(({ name }) => ['--var', `${name}:${value(name)}`]),
      ...(secrets.length === 0 ? [] : ['--secrets-file', file]),
    ]
    return runWrangler(args, 'inherit').status ?? 1
  } finally {
    rmSync(folder, { recursive: true, force: true })
  }
}

function runWrangler(args: readonly string[], stdio: 'inherit' | 'pipe') {
  return spawnSync(process.execPath, [WRANGLER, ...args], {
    cwd: repositoryPath('.'),
    stdio,
    encoding: 'utf8',
    env: { ...process.env, WRANGLER_SEND_METRICS: 'false' },
  })
}

function parseJson(text: string): unknown {
  try {
    return JSON.parse(text)
  } catch {
    return undefined
  }
}
