/** Runs the real bootstrap in a folder of its own, with an npm and an apt-get that only record their calls. */
import { execFile } from 'node:child_process'
import { createHash } from 'node:crypto'
import { chmod, copyFile, cp, mkdir, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { delimiter, join } from 'node:path'
import { promisify } from 'node:util'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { repositoryPath } from '#scripts/base/paths.ts'

const run = promisify(execFile)
/** Only root may run apt-get; this run uses a fake one. */
const AS_ROOT = 'data:text/javascript,process.getuid = () => 0'

const STAMP = 'node_modules/.littoral-installed'
const LOCKFILE = createHash('sha256').update('{}').digest('hex')
/** Installs a fake Node. */
const NPM = `echo "$*" >> npm.log; mkdir -p node_modules/.bin
printf '#!/bin/sh\\necho "ran $*"\\n' > node_modules/.bin/node; chmod +x node_modules/.bin/node`

let root: string
beforeEach(async () => {
  root = await mkdtemp(join(tmpdir(), 'littoral-bootstrap-'))
  for (const folder of ['scripts', 'node_modules/.bin', 'bin'])
    await mkdir(join(root, folder), { recursive: true })
  for (const file of ['scripts/bootstrap.mjs', 'scripts/install-packages.mjs'])
    await copyFile(repositoryPath(file), join(root, file))
  await cp(repositoryPath('scripts/usage'), join(root, 'scripts/usage'), { recursive: true })
  await writeFile(join(root, 'package-lock.json'), '{}')
  await writeFile(join(root, STAMP), `${LOCKFILE} run`)
  // Finds no adapter, and prints its arguments.
  await script(
    'node_modules/.bin/node',
    'case "$*" in *probe-adapter*) exit 1;; esac; echo "ran $*"',
  )
  await script('bin/npm', NPM)
  await script('bin/apt-get', `echo "$DEBIAN_FRONTEND apt-get $*" >> ${root}/apt.log`)
})
afterEach(() => rm(root, { recursive: true, force: true }))

async function script(path: string, body: string): Promise<void> {
  await writeFile(join(root, path), `#!/bin/sh\n${body}\n`)
  await chmod(join(root, path), 0o755)
}

const start = (args: readonly string[] = [], env: Readonly<Record<string, string>> = {}) =>
  command(['start', ...args], env)

async function command(args: readonly string[], env: Readonly<Record<string, string>> = {}) {
  const flags = ['--import', AS_ROOT, join(root, 'scripts/bootstrap.mjs'), ...args]
  const { npm_execpath: _, ...plain } = process.env
  const path = `${join(root, 'bin')}${delimiter}${process.env.PATH}`
  const { stdout, stderr } = await run(process.execPath, flags, {
    cwd: root,
    env: { ...plain, LITTORAL_NO_SYSTEM: '', ...env, PATH: path },
  })
  const done = await readFile(join(root, 'apt.log'), 'utf8').catch(() => '')
  const npm = await readFile(join(root, 'npm.log'), 'utf8').catch(() => '')
  return {
    stdout,
    said: stderr,
    npm: npm.split('\n').filter(Boolean),
    stamp: await readFile(join(root, STAMP), 'utf8').catch(() => ''),
    done: done.split('\n').filter((line) => /install|update/.test(line)),
  }
}

describe('installing system packages', () => {
  it('happens unasked, and each command is printed in full before it runs', async () => {
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
    // The flag is not passed to the command.
    expect(stdout).toMatch(/^ran .*start\.ts --once$/m)
  })
})

describe('the packages', () => {
  const COMMON = '--no-audit --no-fund --loglevel=error'
  const kept = () => readFile(join(root, 'node_modules/used'), 'utf8').catch(() => 'gone')
  beforeEach(() => writeFile(join(root, 'node_modules/used'), 'by what runs'))

  it('are not touched when they are complete', async () => {
    expect(await command(['serve'])).toMatchObject({
      npm: [],
      stdout: expect.stringMatching(/^ran /),
    })
  })

  it('of tests and checks are added without removing those that programs run from', async () => {
    const { npm, stamp } = await command(['generate'])
    expect(npm).toEqual([`install --no-save --include=dev ${COMMON}`])
    expect([await kept(), stamp]).toEqual(['by what runs', LOCKFILE])
  })

  it('that programs run from stay complete when the others cannot be installed', async () => {
    await script('bin/npm', 'exit 1')
    await expect(command(['generate'])).rejects.toMatchObject({ code: 1 })
    expect(await command(['serve'])).toMatchObject({ npm: [], stamp: `${LOCKFILE} run` })
  })

  it('of an interrupted install are removed and installed again', async () => {
    await rm(join(root, STAMP))
    const { npm, stamp, stdout } = await command(['serve'])
    expect(npm).toEqual([`ci --omit=dev ${COMMON}`])
    expect([await kept(), stamp]).toEqual(['gone', `${LOCKFILE} run`])
    expect(stdout).toMatch(/^ran /)
  })

  it('without their Node are installed again, and no system library is blamed', async () => {
    await rm(join(root, 'node_modules/.bin/node'))
    const { npm, done, said } = await command(['node'])
    expect(npm).toEqual([`ci --omit=dev ${COMMON}`])
    expect(done).toEqual([])
    expect(said).not.toContain('Vulkan')
  })

  it('are installed once when several commands need them at the same time', async () => {
    await rm(join(root, STAMP))
    await script('bin/npm', `sleep 1; ${NPM}; : npm`)
    await Promise.all(['serve', 'build', 'keys'].map((name) => command([name])))
    expect((await command(['serve'])).npm).toHaveLength(1)
  })
})

describe('the usage and the options of a command', () => {
  it.each(['start', 'test', 'check', 'deploy', 'build', 'mqtt'])(
    'prints its usage for --help and does nothing else: %s',
    async (name) => {
      await rm(join(root, 'node_modules'), { recursive: true })
      const { npm, done, said, stdout } = await command([name, '--help'])
      expect([npm, done, said]).toEqual([[], [], ''])
      expect(stdout).toBe(await readFile(repositoryPath(`scripts/usage/${name}.txt`), 'utf8'))
    },
  )

  it('refuses an unknown option in one line before it installs anything', async () => {
    await rm(join(root, 'node_modules'), { recursive: true })
    await expect(command(['start', '--nonsense=3'])).rejects.toMatchObject({
      code: 2,
      stdout: '',
      stderr: 'littoral: npm run start has no option --nonsense; --help lists them\n',
    })
  })
})
