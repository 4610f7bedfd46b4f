/**
 * Every npm script runs this first: plain JavaScript for Node 20, without any package.
 * It installs the packages, Node 24 and the system libraries that the command needs, then starts the TypeScript program.
 * It prints to stderr only, so that stdout belongs to the command.
 */
import { spawn, spawnSync } from 'node:child_process'
import { existsSync, readFileSync } from 'node:fs'
import { delimiter, join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { installPackages } from './install-packages.mjs'

const root = fileURLToPath(new URL('..', import.meta.url))
const bin = join(root, 'node_modules', '.bin')

/**
 * Each command with its program and the system packages it needs. Some also need the packages of tests and checks,
 * or take options that their usage text does not name. Usage texts are in scripts/usage.
 */
const COMMANDS = {
  start: { run: ['scripts/commands/start.ts'], needs: ['adapter'] },
  test: {
    run: ['scripts/commands/test.ts'],
    needs: ['adapter', 'chromium', 'broker'],
    isDev: true,
    passesOptions: true,
  },
  bench: { run: ['bench/main.ts'], needs: ['adapter'], isDev: true },
  node: { run: ['local-node/main.ts'], needs: ['adapter'] },
  mqtt: { run: ['bridge/mqtt/main.ts'], needs: [] },
  models: { run: ['scripts/commands/models.ts'], needs: [] },
  soak: { run: ['scripts/commands/soak.ts'], needs: ['adapter', 'chromium'], isDev: true },
  check: { run: ['scripts/commands/check.ts'], needs: [], isDev: true },
  serve: { run: ['scripts/commands/serve.ts'], needs: [] },
  build: { run: ['scripts/build/build.ts'], needs: [] },
  deploy: { run: ['scripts/commands/deploy.ts'], needs: [] },
  generate: { run: ['scripts/commands/generate.ts'], needs: [], isDev: true },
  keys: { run: ['scripts/commands/keys.ts'], needs: [] },
  attest: { run: ['scripts/commands/attest.ts'], needs: [] },
  verify: { run: ['scripts/commands/verify.ts'], needs: [] },
  fix: { run: ['scripts/commands/check.ts', '--fix'], needs: [], isDev: true },
}

const MOSQUITTO = '/usr/sbin/mosquitto'
const SWIFTSHADER = '/usr/lib/chromium/vk_swiftshader_icd.json'
const CHROMIUM = [
  process.env.CHROMIUM_PATH,
  '/usr/bin/chromium',
  '/usr/bin/chromium-browser',
  '/usr/bin/google-chrome',
  '/Applications/Google Chrome.app/Contents/MacOS/Google Chrome',
]

const NO_SYSTEM = '--no-system'
const USAGE_EXIT = 2
const [name, ...given] = process.argv.slice(2)
const args = given.filter((arg) => arg !== NO_SYSTEM)
/** System packages may be installed; otherwise the missing ones are only named. */
// Without the two dashes npm takes the flag as a setting of its own, and sets it to an empty text.
const maySetUp =
  !given.includes(NO_SYSTEM) &&
  process.env.npm_config_system !== '' &&
  !isSet(process.env.LITTORAL_NO_SYSTEM)
const command = COMMANDS[name]
if (command === undefined)
  fail(`unknown command ${name}; one of ${Object.keys(COMMANDS).join(', ')}`, USAGE_EXIT)
const usage = readFileSync(join(root, 'scripts', 'usage', `${name}.txt`), 'utf8')
if (args.includes('--help') || args.includes('-h')) {
  process.stdout.write(usage)
  process.exit(0)
}
refuseUnknownOption()

await installPackages({ isDev: command.isDev === true, say, fail })
for (const need of command.needs) {
  if (need === 'adapter') installAdapter()
  if (need === 'chromium') installChromium()
  if (need === 'broker') installBroker()
}
process.exitCode = await hand(command.run, args)

/** Runs before anything is installed: only options that the usage text names exist. */
function refuseUnknownOption() {
  if (command.passesOptions === true) return
  const known = new Set(usage.match(/--[a-z][a-z-]*/g))
  const until = args.includes('--') ? args.indexOf('--') : args.length
  const options = args.slice(0, until).filter((arg) => /^-\D/.test(arg))
  const unknown = options.find((arg) => !known.has(arg.split('=')[0]))
  if (unknown === undefined) return
  const which = known.size === 0 ? 'it has none' : `--help lists them`
  fail(`npm run ${name} has no option ${unknown.split('=')[0]}; ${which}`, USAGE_EXIT)
}

/** Installs a Vulkan loader and, without a GPU, SwiftShader; says so when WebGPU is still missing. */
function installAdapter() {
  const found = probeAdapter()
  if (found.ok) return
  const didInstall = installDebian({
    packages: ['libvulkan1', 'chromium-common'],
    what: 'a Vulkan loader and a software WebGPU adapter (SwiftShader)',
    without: 'models run on the CPU and WGSL kernels are refused',
  })
  if (!didInstall) return
  const again = probeAdapter()
  say(
    again.ok
      ? `WebGPU adapter: ${again.text}`
      : 'Still no WebGPU adapter: install a Vulkan driver for your GPU. Until then models run on the CPU and WGSL kernels are refused.',
  )
}

function probeAdapter() {
  const env = { ...process.env }
  if (env.VK_DRIVER_FILES === undefined && existsSync(SWIFTSHADER))
    env.VK_DRIVER_FILES = SWIFTSHADER
  for (const tryEnv of [process.env, env]) {
    const probe = spawnSync(join(bin, 'node'), [join(root, 'scripts', 'probe-adapter.mjs')], {
      env: tryEnv,
      encoding: 'utf8',
      timeout: 30_000,
    })
    // Tells nothing about adapters.
    if (probe.error !== undefined)
      fail(`Node of this repository does not start: ${probe.error.message}`)
    if (probe.status === 0) return { ok: true, text: probe.stdout.trim() }
  }
  return { ok: false, text: '' }
}

function installChromium() {
  if (CHROMIUM.some((path) => path !== undefined && existsSync(path))) return
  installDebian({
    packages: ['chromium'],
    what: 'Chromium (or set CHROMIUM_PATH to its program)',
    without: 'the tests of tab, console and pages fail',
  })
}

/** Installs only the program: the tests start it on a port and a folder of their own. */
function installBroker() {
  if (existsSync(MOSQUITTO)) return
  const didInstall = installDebian({
    packages: ['mosquitto'],
    what: 'an MQTT broker',
    without: 'the tests of the MQTT bridge are skipped',
  })
  // Debian starts a service when it installs it.
  if (didInstall) runAsRoot(['systemctl', 'disable', '--now', 'mosquitto'])
}

/** Otherwise prints the command, and what will not work without it. @returns whether it ran anything */
function installDebian({ packages, what, without }) {
  const install = ['apt-get', 'install', '-y', '--no-install-recommends', ...packages]
  const isDebian =
    existsSync('/etc/debian_version') && spawnSync('apt-get', ['--version']).status === 0
  if (!maySetUp || !isDebian || process.getuid?.() !== 0) {
    const why = maySetUp ? '' : ' The system is left alone.'
    say(`Missing: ${what}.${why} Without it ${without}.`)
    say(`  On Debian or Ubuntu: sudo ${install.join(' ')}`)
    return false
  }
  say(`Missing: ${what}. To leave the system alone: ${NO_SYSTEM}, or LITTORAL_NO_SYSTEM=1`)
  const steps = [['apt-get', 'update'], install]
  if (!steps.every(runAsRoot)) say(`It could not be installed. Without it ${without}.`)
  return true
}

/** Prints the command, then runs it. @returns whether it succeeded */
function runAsRoot([program, ...rest]) {
  say(`Running: DEBIAN_FRONTEND=noninteractive ${[program, ...rest].join(' ')}`)
  const env = { ...process.env, DEBIAN_FRONTEND: 'noninteractive' }
  const { status } = spawnSync(program, rest, { env, stdio: ['ignore', 'ignore', 2] })
  if (status !== 0) say(`  ${program} ended with ${status}`)
  return status === 0
}

function isSet(value) {
  return value !== undefined && !['', '0', 'false'].includes(value)
}

/** Runs the TypeScript program on Node 24 and returns its exit code; Ctrl-C reaches it directly. */
function hand([program, ...fixed], rest) {
  const env = { ...process.env, PATH: `${bin}${delimiter}${process.env.PATH}` }
  const child = spawn(
    join(bin, 'node'),
    ['--disable-warning=ExperimentalWarning', join(root, program), ...fixed, ...rest],
    { cwd: root, env, stdio: 'inherit' },
  )
  for (const signal of ['SIGINT', 'SIGTERM'])
    process.on(signal, () => signal === 'SIGTERM' && child.kill(signal))
  return new Promise((done) => {
    child.once('exit', (code, signal) => {
      if (signal !== null && signal !== 'SIGINT') say(`npm run ${name} was ended by ${signal}`)
      done(code ?? (signal === 'SIGINT' ? 130 : 1))
    })
    child.once('error', (error) => fail(error.message))
  })
}

function say(text) {
  process.stderr.write(`${text}\n`)
}

function fail(text, code = 1) {
  say(`littoral: ${text}`)
  process.exit(code)
}
