/** The node's side of one engine process: starts it, sends it work, and kills it when a job does not end. */
import { fork } from 'node:child_process'
import { fileURLToPath } from 'node:url'
import { createRemoteCalls } from '#engine/remote/remote-calls.ts'
import { createRemoteJobs } from '#engine/remote/remote-jobs.ts'
import { AppError } from '#shared/base/errors.ts'
import { LIMITS, MIB } from '#shared/base/limits.ts'
import type { Log } from '#shared/base/log.ts'
import { watchMemory } from './memory-watch.ts'
import type { ChildSetup, FromChild, PlacedModel, Ready, ToChild } from './engine-messages.ts'

/** Resident memory of one engine process. The compiler took 1.7 GB for one kernel of 17 KB. */
const ENGINE_PROCESS_BYTES = 1536 * MIB

const CHILD = fileURLToPath(new URL('./engine-child.ts', import.meta.url))
/** Bytes of memory for each byte of a loaded model's files: the file itself, and the runtime's copy of the weights. */
const MEMORY_A_FILE_BYTE = 2

export type EngineProcess = Awaited<ReturnType<typeof startEngineProcess>>

/** @throws {AppError} node_lost when the process ends before it is ready */
export async function startEngineProcess(setup: ChildSetup, env: NodeJS.ProcessEnv, log: Log) {
  const child = fork(CHILD, [], {
    env,
    serialization: 'advanced',
    stdio: ['ignore', 'inherit', 'pipe', 'ipc'],
    execArgv: ['--disable-warning=ExperimentalWarning'],
  })
  // Graphics drivers write messages to stderr.
  child.stderr?.setEncoding('utf8').on('data', (text: string) => {
    log.debug('engine.wrote', { part: `engine-${setup.role}`, text: text.slice(0, 2_000) })
  })
  const ended = new Promise<void>((resolve) => child.once('exit', () => resolve()))
  const kill = () => child.kill('SIGKILL')
  process.once('exit', kill)
  const say = (message: ToChild) => {
    if (child.connected) child.send(message)
  }
  const jobs = createRemoteJobs({ say, onHung: kill })
  const calls = createRemoteCalls(kill)
  const opened = Promise.withResolvers<Ready>()
  child.on('message', (message: FromChild) => {
    if (message.type === 'ready') opened.resolve(message)
    else if (message.type === 'log')
      log[message.level](message.event, { part: `engine-${setup.role}`, ...message.fields })
    else if ('call' in message) calls.hear(message)
    else jobs.hear(message)
  })
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
