/** A deployment without a chain, and the verifier as a single file in an empty folder. */
import { execFile } from 'node:child_process'
import { copyFile, mkdir, mkdtemp, stat, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { beforeAll, describe, expect, it } from 'vitest'
import { EntriesReply, LogKeyReply } from '#shared/api/audit.ts'
import { VERIFIER_FILE } from '#scripts/build/build.ts'
import { startNodeProcess } from '#scripts/stack/node-process.ts'
import { AuditBundle } from '#shared/audit/bundle.ts'
import { silentLog } from '#shared/base/log.ts'
import { until } from '#test/support/poll.ts'
import { useWorker } from '#test/support/stack/worker.ts'
import { openOnce } from '#test/support/open-once.ts'

const worker = useWorker('development', {
  HUB_REGIONS: 'hub:any',
  LOG_KEY: `0x${'0123456789abcdef'.repeat(4)}`,
})
const acme = openOnce(() =>
  worker.operator.createKey({ tenant: 'acme', scopes: ['infer', 'audit'] }),
)
openOnce(
  async () =>
    startNodeProcess({
      hub: worker.workerd.url,
      dir: worker.stateDir,
      name: 'fr',
      region: 'FR',
      simulatedPlace: 'FR',
      device: 'cpu',
      key: (await worker.operator.createKey({ tenant: 'operator', scopes: ['node'] })).key,
      options: ['--models', 'littoral-embed-400k'],
      log: silentLog,
    }),
  (opened) => opened.close(),
)
let logKey: string
beforeAll(async () => {
  logKey = LogKeyReply.parse(await get('/v1/audit/key')).publicKey
})

const authorization = () => ({ authorization: `Bearer ${acme.key}` })

async function get(path: string): Promise<unknown> {
  return (await fetch(`${worker.workerd.url}${path}`, { headers: authorization() })).json()
}

/** Runs `littoral-verify.mjs` on one file, in a folder with nothing else. */
async function verify(
  bundle: unknown,
  ...args: string[]
): Promise<{ readonly code: number; readonly output: string }> {
  const folder = await mkdtemp(join(worker.stateDir, 'empty-'))
  await copyFile(VERIFIER_FILE, join(folder, 'littoral-verify.mjs'))
  await writeFile(join(folder, 'bundle.json'), JSON.stringify(bundle))
  await mkdir(join(folder, 'home'))
  const env = { PATH: '', HOME: join(folder, 'home') }
  const command = ['littoral-verify.mjs', 'bundle.json', '--allow-simulated', ...args]
  return new Promise((done) => {
    execFile(process.execPath, command, { cwd: folder, env }, (error, stdout, stderr) =>
      done({ code: error === null ? 0 : Number(error.code), output: stdout + stderr }),
    )
  })
}

async function placedBundle(): Promise<AuditBundle> {
  await until('the job is in the log', async () => {
    const { data } = EntriesReply.parse(await get('/v1/audit/events?type=job.placed'))
    return data.length > 0
  })
  return AuditBundle.parse(await get('/v1/audit/bundle'))
}

describe('a deployment without a chain', () => {
  it('is verified with the key of its log alone, and reported as a deployment without settlement', async () => {
    const answer = await fetch(`${worker.workerd.url}/v1/embeddings`, {
      method: 'POST',
      headers: { ...authorization(), 'content-type': 'application/json' },
      body: JSON.stringify({ model: 'littoral-embed-400k', input: 'turn on the kitchen light' }),
    })
    expect(answer.status).toBe(200)
    const bundle = await placedBundle()
    expect(bundle.domain).toBeNull()
    const whole = await verify(bundle, '--log-key', logKey, '--within', 'EU')
    expect(whole.output).toContain('Everything holds')
    expect(whole.output).toContain('Settlement is not part of this deployment.')
    expect(whole.output).toContain('The one job that is shown ran within EU.')
    expect(whole.code).toBe(0)
    const short = { ...bundle, entries: bundle.entries.slice(0, -1) }
    expect((await verify(short, '--log-key', logKey)).code).toBe(3)
    const [first, ...others] = bundle.entries
    const edited = { ...bundle, entries: [{ ...first, atMs: 1 }, ...others] }
    expect((await verify(edited, '--log-key', logKey)).code).toBe(1)
    expect((await verify(bundle)).code).toBe(2)
  })

  it('has a verifier whose help mentions only what a stranger has', async () => {
    const { code, output } = await verify({}, '--help')
    expect(code).toBe(0)
    expect(output).toMatch(/^node littoral-verify\.mjs FILE\.json/)
    expect(output).toContain('--pins, --log-key, or --rpc with --settlement')
    expect(output).not.toMatch(/npm|working copy|dev\.json/)
    const bare = await verify({})
    expect([bare.code, bare.output.split('\n').length]).toEqual([2, 2])
    expect(bare.output).toContain(
      'Give --pins, or --log-key, or --rpc and --settlement; see --help',
    )
  })

  it('has a verifier of less than 400 KB', async () => {
    expect((await stat(VERIFIER_FILE)).size).toBeLessThan(400_000)
  })
})
