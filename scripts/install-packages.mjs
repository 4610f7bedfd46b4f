/**
 * Installs the packages that a command needs: plain JavaScript for Node 20, without any package.
 * Running programs keep their packages where possible; an interrupted install starts again.
 */
import { spawn, spawnSync } from 'node:child_process'
import { createHash } from 'node:crypto'
import {
  existsSync,
  linkSync,
  mkdirSync,
  readFileSync,
  renameSync,
  rmSync,
  writeFileSync,
} from 'node:fs'
import { dirname, join } from 'node:path'
import { fileURLToPath } from 'node:url'

const root = fileURLToPath(new URL('..', import.meta.url))
const packages = join(root, 'node_modules')
const bin = join(packages, '.bin')
/** Names the lockfile whose packages are installed, and whether those of tests and checks are included. */
const stamp = join(packages, '.littoral-installed')
/** Holds the id of the process that is installing. */
const installing = join(root, '.littoral', 'installing')
const mine = `${installing}.${process.pid}`
const INSTALL_MS = 10 * 60_000
const ENDING = ['SIGINT', 'SIGTERM', 'SIGHUP']

/** Installs once for each state of the lockfile; the first test or check adds its packages. */
export async function installPackages({ isDev, say, fail }) {
  const lockfile = createHash('sha256')
    .update(readFileSync(join(root, 'package-lock.json')))
    .digest('hex')
  const forRunning = `${lockfile} run`
  const isDone = (installed) => installed === lockfile || (!isDev && installed === forRunning)
  if (isDone(readStamp())) return
  await takeTurn(say)
  const installed = readStamp()
  if (!isDone(installed)) await install({ isDev, lockfile, forRunning, installed, say, fail })
  rmSync(installing, { force: true })
}

function readStamp() {
  return existsSync(stamp) && hasNode() ? readFileSync(stamp, 'utf8') : ''
}

async function install({ isDev, lockfile, forRunning, installed, say, fail }) {
  // Programs may be running from these packages, so none is removed.
  const isBeside = installed === forRunning
  const scope = isDev ? '--include=dev' : '--omit=dev'
  // A missing stamp tells the next command that this install was interrupted.
  rmSync(stamp, { force: true })
  if (!isBeside) rmSync(packages, { recursive: true, force: true, maxRetries: 10, retryDelay: 200 })
  const started = Date.now()
  const code = await runNpm(
    say,
    [...(isBeside ? ['install', '--no-save'] : ['ci']), scope],
    `about ${isBeside ? '250 MB more' : isDev ? '1.7 GB' : '1.5 GB'} on disk, one to three minutes`,
  )
  if (code !== 0) {
    // npm has rolled back the failed install.
    if (isBeside) writeFileSync(stamp, forRunning)
    fail(
      'npm failed (its own message is above). Check that the npm registry can be reached, then run the same command again.',
    )
  }
  if (!hasNode())
    fail('npm brought no Node: the install script of its package "node" was not allowed to run.')
  writeFileSync(stamp, isDev ? lockfile : forRunning)
  say(
    `Packages installed in ${Math.round((Date.now() - started) / 1000)} s, Node ${nodeVersion()} among them`,
  )
}

function hasNode() {
  return existsSync(join(bin, 'node'))
}

/** @returns npm's exit code */
async function runNpm(say, what, cost) {
  const args = [...what, '--no-audit', '--no-fund', '--loglevel=error']
  say(`Running: ONNXRUNTIME_NODE_INSTALL=skip npm ${args.join(' ')}   (${cost})`)
  const own = process.env.npm_execpath
  const [program, ...before] = own === undefined ? ['npm'] : [process.execPath, own]
  const env = { ...process.env, ONNXRUNTIME_NODE_INSTALL: 'skip' }
  const child = spawn(program, [...before, ...args], { cwd: root, env, stdio: ['ignore', 2, 2] })
  // npm may outlive this process.
  if (child.pid !== undefined) {
    writeFileSync(mine, String(child.pid))
    renameSync(mine, installing)
  }
  const end = () => {
    child.kill('SIGTERM')
    process.exit(1)
  }
  for (const signal of ENDING) process.once(signal, end)
  const started = Date.now()
  const ticker = setInterval(
    () => say(`  … ${Math.round((Date.now() - started) / 1000)} s`),
    10_000,
  )
  const code = await new Promise((done) => {
    child.once('exit', done)
    child.once('error', () => done(1))
  })
  clearInterval(ticker)
  for (const signal of ENDING) process.off(signal, end)
  return code
}

/** Waits for another install: of another command, or of an npm that outlived its command. */
async function takeTurn(say) {
  mkdirSync(dirname(mine), { recursive: true, mode: 0o700 })
  const until = Date.now() + INSTALL_MS
  let isSaid = false
  for (;;) {
    writeFileSync(mine, String(process.pid))
    try {
      // The link appears with its content.
      linkSync(mine, installing)
      return
    } catch {
      const pid = existsSync(installing) ? Number(readFileSync(installing, 'utf8')) : 0
      if (!installs(pid) || Date.now() > until) rmSync(installing, { force: true })
      else {
        if (!isSaid) say(`Process ${pid} installs here already; waiting for its end`)
        isSaid = true
        await new Promise((done) => setTimeout(done, 500))
      }
    } finally {
      rmSync(mine, { force: true })
    }
  }
}

function installs(pid) {
  if (pid <= 0) return false
  try {
    process.kill(pid, 0)
  } catch {
    return false
  }
  // The system reuses process ids.
  const { status, stdout } = spawnSync('ps', ['-p', String(pid), '-o', 'command='], {
    encoding: 'utf8',
  })
  return status !== 0 || /npm|bootstrap/.test(stdout)
}

function nodeVersion() {
  return spawnSync(join(bin, 'node'), ['--version'], { encoding: 'utf8' }).stdout.trim()
}
