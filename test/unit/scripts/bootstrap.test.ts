/** What the commands do to the system: the real bootstrap in a folder of its own, with an apt-get that only writes down. */
import { execFile } from 'node:child_process'
import { createHash } from 'node:crypto'
import { chmod, copyFile, mkdir, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { delimiter, join } from 'node:path'
import { promisify } from 'node:util'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { repositoryPath } from '#scripts/base/paths.ts'

const run = promisify(execFile)
/** apt-get is for root alone; the one here harms nobody. */
const AS_ROOT = 'data:text/javascript,process.getuid = () => 0'

let root: string
beforeEach(async () => {
  root = await mkdtemp(join(tmpdir(), 'littoral-bootstrap-'))
  for (const folder of ['scripts', 'node_modules/.bin', 'bin'])
    await mkdir(join(root, folder), { recursive: true })
  await copyFile(repositoryPath('scripts/bootstrap.mjs'), join(root, 'scripts/bootstrap.mjs'))
  await writeFile(join(root, 'package-lock.json'), '{}')
  const installed = createHash('sha256').update('{}').digest('hex')
  await writeFile(join(root, 'node_modules/.littoral-installed'), `${installed} run`)
  // Finds no adapter, and shows what it was given.
  await script(
    'node_modules/.bin/node',
    'case "$*" in *probe-adapter*) exit 1;; esac; echo "ran $*"',
  )
  await script('bin/apt-get', `echo "$DEBIAN_FRONTEND apt-get $*" >> ${root}/apt.log`)
})
afterEach(() => rm(root, { recursive: true, force: true }))

async function script(path: string, body: string): Promise<void> {
  await writeFile(join(root, path), `#!/bin/sh\n${body}\n`)
  await chmod(join(root, path), 0o755)
}

async function start(args: readonly string[] = [], env: Readonly<Record<string, string>> = {}) {
  const flags = ['--import', AS_ROOT, join(root, 'scripts/bootstrap.mjs'), 'start', ...args]
  const path = `${join(root, 'bin')}${delimiter}${process.env.PATH}`
  const { stdout, stderr } = await run(process.execPath, flags, {
    env: { ...process.env, LITTORAL_NO_SYSTEM: '', ...env, PATH: path },
  })
  const done = await readFile(join(root, 'apt.log'), 'utf8').catch(() => '')
  return {
    stdout,
    said: stderr,
    done: done.split('\n').filter((line) => /install|update/.test(line)),
  }
}

describe('the set-up of the system', () => {
  it('is done unasked, and each command is said in full before it runs', async () => {
    const { said, done, stdout } = await start()
    expect(done).toEqual([
      'noninteractive apt-get update',
      'noninteractive apt-get install -y --no-install-recommends libvulkan1 chromium-common',
    ])
    for (const line of done) expect(said).toContain(`Running: DEBIAN_FRONTEND=${line}`)
    expect(said).toContain('--no-system')
    expect(stdout).toMatch(/^ran /)
  })

  it.each<[string, string[], Record<string, string>]>([
    ['by --no-system', ['--no-system'], {}],
    ['by npm start --no-system', [], { npm_config_system: '' }],
    ['by LITTORAL_NO_SYSTEM=1', [], { LITTORAL_NO_SYSTEM: '1' }],
  ])('is refused %s: nothing runs, and what will not work is said', async (_, args, env) => {
    const { said, done, stdout } = await start([...args, '--once'], env)
    expect(done).toEqual([])
    expect(said).toContain('WGSL kernels are refused')
    expect(said).toContain('sudo apt-get install')
    // The command itself never sees the flag.
    expect(stdout).toMatch(/^ran .*start\.ts --once$/m)
  })
})
