/** `npm run serve` and `npm run keys` as separate processes with their own state. */
import { execFile, spawn, type ChildProcess } from 'node:child_process'
import { chmod, mkdtemp, readdir, readFile, rename, rm, stat, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { createInterface } from 'node:readline'
import { promisify } from 'node:util'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { repositoryPath } from '#scripts/base/paths.ts'
import { until } from '#test/support/poll.ts'

const run = promisify(execFile)

let state: string
let served: Served

interface Served {
  readonly process: ChildProcess
  readonly url: string
  /** All output until it served. */
  readonly text: string
  /** All output so far. */
  readonly said: () => string
}

beforeAll(async () => {
  state = await mkdtemp(join(tmpdir(), 'littoral-serve-'))
  await chmod(state, 0o755)
  served = await serve()
})

afterAll(async () => {
  await stop()
  await rm(state, { recursive: true, force: true })
})

/** Starts it on a free port with the existing build. */
function serve(env: Record<string, string> = {}): Promise<Served> {
  const command = repositoryPath('scripts/commands/serve.ts')
  const args = [command, '--built', '--port', '0', '--state', state]
  const child = spawn(process.execPath, args, { env: { ...process.env, ...env } })
  return new Promise((done, fail) => {
    let text = ''
    child.once('exit', (code) => fail(new Error(`serve ended with ${code}: ${text}`)))
    createInterface({ input: child.stderr }).on('line', (line) => (text += `${line}\n`))
    createInterface({ input: child.stdout }).on('line', (line) => {
      text += `${line}\n`
      const url = /^Serving (http\S+)/m.exec(text)?.[1]
      if (url !== undefined && line.startsWith('CHAIN_RPC')) {
        done({ process: child, url, text, said: () => text })
      }
    })
  })
}

function ended(): Promise<number | null> {
  return new Promise((done) => served.process.once('exit', done))
}

function stop(): Promise<number | null> {
  const code = ended()
  served.process.kill('SIGTERM')
  return code
}

/** The process id of workerd, the only child of this serve. */
async function workerdPid(): Promise<number> {
  const { stdout } = await run('ps', ['-o', 'pid=', '--ppid', String(served.process.pid)])
  return Number(stdout.trim().split('\n')[0])
}

async function keys(...args: string[]): Promise<string> {
  const script = repositoryPath('scripts/commands/keys.ts')
  const { stdout } = await run(process.execPath, [script, ...args, '--state', state])
  return stdout
}

const policies = (key: string) =>
  fetch(`${served.url}/v1/policies`, { headers: { authorization: `Bearer ${key}` } })

describe('npm run serve', () => {
  it('closes all files of its state to other users, whatever the mode of the folder', async () => {
    const open: string[] = []
    for (const entry of await readdir(state, { recursive: true, withFileTypes: true })) {
      const path = join(entry.parentPath, entry.name)
      // The database creates and removes files while it runs.
      const { mode } = (await stat(path).catch(() => undefined)) ?? { mode: 0 }
      if ((mode & 0o077) !== 0) open.push(path)
    }
    expect(open).toEqual([])
    expect(await readdir(state)).toContain('durable-objects')
  })

  it('creates its secrets once, readable only by its user, and prints none of them', async () => {
    const path = join(state, 'secrets.json')
    expect((await stat(path)).mode & 0o777).toBe(0o600)
    const secrets = JSON.parse(await readFile(path, 'utf8')) as Record<string, string>
    expect(Object.keys(secrets)).toEqual(['OPERATOR_KEY', 'ADMISSION_SECRET', 'LOG_KEY'])
    for (const secret of Object.values(secrets)) {
      expect(secret).toMatch(/^(0x)?[0-9a-f]{64}$/)
      expect(served.text).not.toContain(secret)
    }
  })

  it('says which settings are missing', () => {
    expect(served.text).toContain('INGRESS_COUNTRY is not set')
    expect(served.text).toContain('CHAIN_RPC is not set')
  })

  it('creates keys that survive a restart, and revokes them', async () => {
    const key = /^lit_acme_\S+$/m.exec(await keys('create', '--tenant', 'acme'))?.[0] ?? ''
    expect((await policies(key)).status).toBe(200)
    expect(await stop()).toBe(0)
    served = await serve()
    expect((await policies(key)).status).toBe(200)
    const id = /^key_acme_\S+/m.exec(await keys('list', '--tenant', 'acme'))?.[0] ?? ''
    expect(await keys('revoke', id)).toContain('revoked')
    expect((await policies(key)).status).toBe(401)
  })

  it('fails before it builds or starts anything when its state or port is in use, and names the holder', async () => {
    const second = (...args: string[]) =>
      run(process.execPath, [repositoryPath('scripts/commands/serve.ts'), ...args])
    await expect(second('--port', '0', '--state', state)).rejects.toMatchObject({
      code: 2,
      stdout: '',
      stderr: `The state folder ${state} is in use by process ${served.process.pid}. End that one, or use another folder.\n`,
    })
    const { port } = new URL(served.url)
    const other = join(state, 'other')
    await expect(second('--port', port, '--state', other)).rejects.toMatchObject({
      code: 2,
      stdout: '',
      stderr: `Port ${port} of 127.0.0.1 is taken by another program. Choose another by --port.\n`,
    })
    expect((await fetch(`${served.url}/v2/health/live`)).ok).toBe(true)
  })

  it('reports a workerd that was killed and restarts it on the same port', async () => {
    process.kill(await workerdPid(), 'SIGKILL')
    const isBack = async () =>
      served.said().includes('workerd runs again') &&
      (await fetch(`${served.url}/v2/health/live`)).ok
    await until('it serves again', isBack)
    expect(served.said()).toContain('workerd ended: signal SIGKILL. Starting it again in 0.5 s')
  })

  it('exits with 1 when workerd cannot be restarted', async () => {
    const storage = join(state, 'durable-objects')
    await rename(storage, `${storage}.away`)
    await writeFile(storage, 'in the way')
    const code = ended()
    process.kill(await workerdPid(), 'SIGKILL')
    expect(await code).toBe(1)
    expect(served.said()).toMatch(/workerd ended 6 times: .*It is not started again/)
    await rm(storage)
    await rename(`${storage}.away`, storage)
    served = await serve()
  })

  it('refuses the jurisdiction of Cloudflare', async () => {
    await expect(serve({ JURISDICTION: 'cloudflare' })).rejects.toThrow(/npm run deploy/)
  })
})

describe('npm run deploy -- --check', () => {
  it('fails and names what is missing', async () => {
    const args = [repositoryPath('scripts/commands/deploy.ts'), '--check']
    const empty = { ADMISSION_SECRET: '', CLOUDFLARE_API_TOKEN: '' }
    const env = { ...process.env, OPERATOR_KEY: 'a', ...empty }
    await expect(run(process.execPath, args, { env })).rejects.toMatchObject({
      code: 1,
      stdout: expect.stringMatching(/^Missing: ADMISSION_SECRET\. /m) as string,
    })
  })
})
