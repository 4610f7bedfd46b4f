/** Runs a built Worker in plain workerd, without an account or Miniflare; its state is on this disk. */
import { spawn, type ChildProcess } from 'node:child_process'
import { chmodSync, mkdirSync, readdirSync, readFileSync, writeFileSync } from 'node:fs'
import { createRequire } from 'node:module'
import { dirname, join, resolve } from 'node:path'
import { createInterface } from 'node:readline'
import type { Readable } from 'node:stream'
import { closeToOthers } from '#local-node/close-to-others.ts'
import { plainEnvironment } from '#local-node/engine/plain-environment.ts'
import { AppError } from '#shared/base/errors.ts'
import type { Log } from '#shared/base/log.ts'
import { readBundle, type Bundle } from '#scripts/build/bundle.ts'
import { endOf, type Child } from './keep-running.ts'

const START_TIMEOUT_MS = 120_000
const STOP_TIMEOUT_MS = 3_000
/** Names of the sockets. */
const HTTP = 'http'
const TWIN = 'twin'
/** Folder of the Durable Objects' databases, in the state directory. */
const STORAGE_DIR = 'durable-objects'

export interface WorkerdOptions {
  /** Holds the output of `buildWorker`. */
  readonly bundleDir: string
  /** Holds the Durable Objects' databases. */
  readonly stateDir: string
  /** @default 127.0.0.1 */
  readonly host?: string
  /** @default 0: a free one */
  readonly port?: number
  /** Vars and secrets, over the defaults of wrangler.toml. They are passed in the environment, never in a file. */
  readonly vars: Readonly<Record<string, string>>
  readonly assetsDir: string
  /** Address of V8's inspector for profiles, such as `127.0.0.1:9229`. @default none */
  readonly inspector?: string
  readonly log: Log
  /** Runs a second isolate of the Worker over the same Durable Objects, as at another location. */
  readonly twin?: boolean
  /** Gets each line that workerd or the Worker writes. @default the log */
  readonly onLine?: (line: string, stream: 'stdout' | 'stderr') => void
}

export interface Workerd extends Child {
  readonly url: string
  readonly port: number
  /** Address of the second isolate, if there is one. */
  readonly twinUrl: string | undefined
  readonly pid: number
  /** Sends SIGTERM, and SIGKILL after three seconds. */
  close(): Promise<void>
  /** Sends SIGKILL, like a power cut. */
  kill(): Promise<void>
}

/** @throws {AppError} internal with the last lines of workerd when it does not start */
export async function startWorkerd(options: WorkerdOptions): Promise<Workerd> {
  const bundle = readBundle(options.bundleDir)
  const vars = {
    ...bundle.vars,
    JURISDICTION: 'any',
    // A production bundle refuses to run with it.
    ...(bundle.simulatedPlaces ? { SIMULATED_PLACES: 'true' } : {}),
    ...options.vars,
  }
  const config = writeConfig(bundle, vars, options)
  const { inspector } = options
  const flags = [
    '--experimental',
    '--control-fd=3',
    ...(inspector === undefined ? [] : [`--inspector-addr=${inspector}`]),
  ]
  await closeToOthers(join(options.stateDir, STORAGE_DIR))
  const [program, args] = closed(workerdProgram(), ['serve', ...flags, config])
  const child = spawn(program, args, {
    stdio: ['ignore', 'pipe', 'pipe', 'pipe'],
    env: { ...plainEnvironment(process.env), ...prefixed(vars) },
  })
  const lastLines: string[] = []
  const ended = endOf(child)
  const killOnExit = () => child.kill('SIGKILL')
  process.once('exit', killOnExit)
  void ended.then(() => process.off('exit', killOnExit))
  pumpLines(child, options, lastLines)
  try {
    const ports = await listeningPorts(child, ended, options.twin === true ? [HTTP, TWIN] : [HTTP])
    const port = ports.get(HTTP) ?? 0
    const host = options.host ?? '127.0.0.1'
    const reachable = host === '0.0.0.0' || host === '::' ? '127.0.0.1' : host
    const origin = `http://${bracket(reachable)}`
    const url = `${origin}:${port}`
    const twinPort = ports.get(TWIN)
    const answer = await fetch(`${url}/v2/health/live`, {
      signal: AbortSignal.timeout(START_TIMEOUT_MS),
    })
    const body = await answer.text()
    if (!answer.ok) throw new AppError('internal', `The Worker answers ${answer.status}: ${body}`)
    const stop = (signal: NodeJS.Signals) => stopChild(child, ended, signal)
    return {
      url,
      port,
      twinUrl: twinPort === undefined ? undefined : `${origin}:${twinPort}`,
      pid: child.pid ?? 0,
      ended,
      close: () => stop('SIGTERM'),
      kill: () => stop('SIGKILL'),
    }
  } catch (cause) {
    await stopChild(child, ended, 'SIGKILL')
    const why = cause instanceof Error ? `${cause.message}\n` : ''
    const last = lastLines.join('\n')
    throw new AppError('internal', `workerd did not start:\n${why}${last}`, { cause })
  }
}

/** Runs the program with a umask that closes its files to other users: one holds a hub's signing key. */
function closed(program: string, args: readonly string[]): [string, string[]] {
  if (process.platform === 'win32') return [program, [...args]]
  return ['/bin/sh', ['-c', 'umask 077 && exec "$0" "$@"', program, ...args]]
}

/** Path of the workerd that wrangler depends on. */
function workerdProgram(): string {
  const fromWrangler = createRequire(
    createRequire(import.meta.url).resolve('wrangler/package.json'),
  )
  return join(dirname(fromWrangler.resolve('workerd/package.json')), 'bin/workerd')
}

function writeConfig(
  bundle: Bundle,
  vars: Readonly<Record<string, string>>,
  options: WorkerdOptions,
): string {
  const storage = join(resolve(options.stateDir), STORAGE_DIR)
  mkdirSync(storage, { recursive: true })
  mkdirSync(options.assetsDir, { recursive: true })
  const path = join(resolve(options.stateDir), 'workerd.capnp')
  const text = configText(bundle, {
    storage,
    assets: resolve(options.assetsDir),
    address: `${bracket(options.host ?? '127.0.0.1')}:${options.port ?? 0}`,
    modules: readModules(options.bundleDir, bundle),
    vars: Object.keys(vars),
    reachesPrivate: (vars['CHAIN_RPC'] ?? '') !== '',
    reachesThisMachine: bundle.simulatedPlaces,
    twin: options.twin === true ? `${bracket(options.host ?? '127.0.0.1')}:0` : undefined,
  })
  writeFileSync(path, text, { mode: 0o600 })
  chmodSync(path, 0o600)
  return path
}

interface ConfigParts {
  readonly storage: string
  readonly assets: string
  readonly address: string
  readonly modules: readonly string[]
  readonly vars: readonly string[]
  /** The Worker may call private addresses, because the chain may be on this machine or network. */
  readonly reachesPrivate: boolean
  /** In development builds, webhooks may go to this machine; otherwise only to public addresses. */
  readonly reachesThisMachine: boolean
  /** Address of the second isolate. */
  readonly twin: string | undefined
}

/** workerd's configuration language: https://github.com/cloudflare/workerd/blob/main/src/workerd/server/workerd.capnp */
function configText(bundle: Bundle, parts: ConfigParts): string {
  const q = quote
  const allow = parts.reachesPrivate ? ['public', 'private', 'local'] : ['public']
  const webhooks = parts.reachesThisMachine ? ['public', 'local'] : ['public']
  const bindings = (owner: string) => [
    ...parts.vars.map((name) => `(name = ${q(name)}, fromEnvironment = ${q(envName(name))})`),
    ...bundle.durableObjects.map(
      ({ binding, className }) =>
        `(name = ${q(binding)}, durableObjectNamespace = (className = ${q(className)}${owner}))`,
    ),
    '(name = "WEBHOOKS", service = "webhooks")',
    ...(bundle.assets === null ? [] : [`(name = ${q(bundle.assets)}, service = "assets")`]),
  ]
  const namespaces = bundle.durableObjects.map(
    ({ className }) =>
      `(className = ${q(className)}, uniqueKey = ${q(`littoral-${className}`)}, enableSql = true)`,
  )
  const code = `
      modules = [
        ${parts.modules.join(',\n        ')}
      ],
      compatibilityDate = ${q(bundle.compatibilityDate)},
      compatibilityFlags = [${bundle.compatibilityFlags.map(q).join(', ')}],`
  const twin =
    parts.twin === undefined
      ? ''
      : `
    (name = ${q(TWIN)}, worker = (${code}
      bindings = [
        ${bindings(', serviceName = "main"').join(',\n        ')}
      ]
    )),`
  const twinSocket =
    parts.twin === undefined
      ? ''
      : `, (name = ${q(TWIN)}, address = ${q(parts.twin)}, http = (), service = ${q(TWIN)})`
  return `using Workerd = import "/workerd/workerd.capnp";
const config :Workerd.Config = (
  services = [
    (name = "main", worker = (${code}
      bindings = [
        ${bindings('').join(',\n        ')}
      ],
      durableObjectNamespaces = [${namespaces.join(', ')}],
      durableObjectStorage = (localDisk = "storage")
    )),${twin}
    (name = "internet", network = (
      allow = [${allow.map(q).join(', ')}], tlsOptions = (trustBrowserCas = true))),
    (name = "webhooks", network = (
      allow = [${webhooks.map(q).join(', ')}], tlsOptions = (trustBrowserCas = true))),
    (name = "storage", disk = (path = ${q(parts.storage)}, writable = true)),
    (name = "assets", disk = (path = ${q(parts.assets)}))
  ],
  sockets = [(name = "http", address = ${q(parts.address)}, http = (), service = "main")${twinSocket}]
);
`
}

function readModules(bundleDir: string, bundle: Bundle): string[] {
  const names = readdirSync(bundleDir).filter((name) => name.endsWith('.js'))
  names.sort((a, b) => Number(b === bundle.main) - Number(a === bundle.main))
  return names.map(
    (name) =>
      `(name = ${quote(name)}, esModule = ${quote(readFileSync(join(bundleDir, name), 'utf8'))})`,
  )
}

/** Writes a Cap'n Proto text literal. */
function quote(text: string): string {
  const escaped = text.replace(/[\\"]|\p{Cc}/gu, (char) => {
    if (char === '\\' || char === '"') return `\\${char}`
    // Above 7F a byte escape would break a UTF-8 sequence; such characters need no escape.
    if (char.charCodeAt(0) > 0x7f) return char
    return `\\x${char.charCodeAt(0).toString(16).padStart(2, '0')}`
  })
  return `"${escaped}"`
}

function bracket(host: string): string {
  return host.includes(':') ? `[${host}]` : host
}

function envName(name: string): string {
  return `LITTORAL_VAR_${name}`
}

function prefixed(vars: Readonly<Record<string, string>>): Record<string, string> {
  return Object.fromEntries(Object.entries(vars).map(([name, value]) => [envName(name), value]))
}

/** Forwards lines, and keeps the last twenty for the error of a failed start. */
function pumpLines(child: ChildProcess, options: WorkerdOptions, last: string[]): void {
  const onLine =
    options.onLine ??
    ((line, stream) =>
      options.log[stream === 'stderr' ? 'warn' : 'debug']('workerd.wrote', { line }))
  for (const stream of ['stdout', 'stderr'] as const) {
    const source = child[stream]
    if (source === null) continue
    createInterface({ input: source }).on('line', (line) => {
      last.push(line)
      if (last.length > 20) last.shift()
      onLine(line, stream)
    })
  }
}

/** Reads `{"event":"listen","socket":"http","port":N}` from the control descriptor until each socket has a port. */
async function listeningPorts(
  child: ChildProcess,
  ended: Promise<string>,
  sockets: readonly string[],
): Promise<ReadonlyMap<string, number>> {
  const control = child.stdio[3] as Readable
  const timeout = AbortSignal.timeout(START_TIMEOUT_MS)
  const ports = new Map<string, number>()
  const all = new Promise<ReadonlyMap<string, number>>((done, fail) => {
    timeout.addEventListener('abort', () => fail(new Error('no port in time')))
    void ended.then((how) => fail(new Error(`it ended: ${how}`)))
    createInterface({ input: control }).on('line', (line) => {
      const message = JSON.parse(line) as { event: string; socket?: string; port?: number }
      if (message.event !== 'listen' || message.socket === undefined) return
      ports.set(message.socket, message.port ?? 0)
      if (sockets.every((socket) => ports.has(socket))) done(ports)
    })
  })
  return await all
}

async function stopChild(
  child: ChildProcess,
  ended: Promise<string>,
  signal: NodeJS.Signals,
): Promise<void> {
  child.kill(signal)
  const late = setTimeout(() => child.kill('SIGKILL'), STOP_TIMEOUT_MS)
  await ended
  clearTimeout(late)
}
