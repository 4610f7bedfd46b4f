/** The node's side of one engine process: starts it, sends it work, and kills it when a job does not end. */
import { spawn, type ChildProcess } from 'node:child_process'
import { Socket } from 'node:net'
import { fileURLToPath } from 'node:url'
import { createPipePort } from '#engine/remote/pipe-port.ts'
import { createRemoteCalls } from '#engine/remote/remote-calls.ts'
import { createRemoteJobs } from '#engine/remote/remote-jobs.ts'
import { AppError, invariant } from '#shared/base/errors.ts'
import { LIMITS, MIB } from '#shared/base/limits.ts'
import type { Log } from '#shared/base/log.ts'
import { watchMemory } from './memory-watch.ts'
import {
  FROM_CHILD,
  TO_CHILD,
  type ChildSetup,
  type FromChild,
  type PlacedModel,
  type Ready,
  type ToChild,
} from './engine-messages.ts'

/** Resident memory of one engine process. The compiler took 1.7 GB for one kernel of 17 KB. */
const ENGINE_PROCESS_BYTES = 1536 * MIB

const CHILD = fileURLToPath(new URL('./engine-child.ts', import.meta.url))
/** Bytes of memory for each byte of a loaded model's files: the file itself, and the runtime's copy of the weights. */
const MEMORY_A_FILE_BYTE = 2

export type EngineProcess = Awaited<ReturnType<typeof startEngineProcess>>

export interface StartOptions {
  readonly env: NodeJS.ProcessEnv
  readonly log: Log
  /** @default the engine's program */
  readonly program?: string
}

/** @throws {AppError} node_lost when the process ends before it is ready */
export async function startEngineProcess(
  setup: ChildSetup,
  { env, log, program = CHILD }: StartOptions,
) {
  const child = spawn(process.execPath, ['--disable-warning=ExperimentalWarning', program], {
    env,
    stdio: ['ignore', 'inherit', 'pipe', 'pipe'],
  })
  // Graphics drivers write messages to stderr.
  child.stderr?.setEncoding('utf8').on('data', (text: string) => {
    log.debug('engine.wrote', { part: `engine-${setup.role}`, text: text.slice(0, 2_000) })
  })
  const ended = new Promise<void>((resolve) => child.once('exit', () => resolve()))
  const kill = () => child.kill('SIGKILL')
  process.once('exit', kill)
  const say = openPipe(child, { log, onMessage: take, onBroken: kill })
  const jobs = createRemoteJobs({ say, onHung: kill })
  const calls = createRemoteCalls(kill)
  const opened = Promise.withResolvers<Ready>()
  function take(message: FromChild) {
    if (message.type === 'ready') opened.resolve(message)
    else if (message.type === 'log')
      log[message.level](message.event, { part: `engine-${setup.role}`, ...message.fields })
    else if ('call' in message) calls.hear(message)
    else jobs.hear(message)
  }
  void ended.then(() => {
    process.off('exit', kill)
    const lost = new AppError('node_lost', `The ${setup.role} process of the node died.`)
    opened.reject(lost)
    jobs.lose(lost)
    calls.lose(lost)
  })
  child.once('error', opened.reject)
  const timer = setTimeout(kill, LIMITS.modelLoadMs * 2)
  say({ type: 'setup', setup })
  const ready = await opened.promise.finally(() => clearTimeout(timer))
  const limitBytes = ENGINE_PROCESS_BYTES + (setup.modelMemoryBytes ?? 0) * MEMORY_A_FILE_BYTE
  const unwatch = watchMemory(child.pid ?? 0, limitBytes, () => {
    const detail = `The job made the ${setup.role} process exceed ${limitBytes} bytes of memory.`
    jobs.reject(new AppError('too_large', detail))
    kill()
  })
  void ended.then(unwatch)
  return {
    ready,
    ended,
    kill,
    /** @throws {AppError} file_corrupt, no_capacity when the model does not run there, node_lost */
    load: (model: PlacedModel) => calls.load((call) => say({ type: 'load', call, model })),
    unload: (id: string) => calls.ask((call) => say({ type: 'unload', call, id })),
    /** @throws {AppError} the child's error; node_timeout or node_lost when it hung or died (`ended` resolves) */
    run: (...job: Parameters<typeof jobs.run>) => jobs.run(...job),
  }
}

interface PipeOptions {
  readonly log: Log
  readonly onMessage: (message: FromChild) => void
  readonly onBroken: () => void
}

/** Opens the fourth stream of the process. @returns sends a message; does nothing once the process has ended */
function openPipe({ stdio }: ChildProcess, { log, onMessage, onBroken }: PipeOptions) {
  const pipe = stdio[3]
  invariant(pipe instanceof Socket, 'the process has a pipe')
  const port = createPipePort<ToChild, FromChild>({
    sink: pipe,
    kinds: { sent: TO_CHILD, heard: FROM_CHILD },
    onMessage,
    soon: setImmediate,
  })
  pipe.on('data', (chunk: Buffer) => {
    try {
      port.hear(chunk)
    } catch (error) {
      log.error('engine.pipe-broken', { cause: String(error) })
      pipe.destroy()
      onBroken()
    }
  })
  // The end of the process is an event of its own.
  pipe.on('error', () => {})
  return port.say
}
