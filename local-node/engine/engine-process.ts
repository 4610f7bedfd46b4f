/** One engine process from the outside: started, spoken to, and killed without mercy when a job will not end. */
import { fork } from 'node:child_process'
import { fileURLToPath } from 'node:url'
import { createRemoteCalls } from '#engine/remote/remote-calls.ts'
import { createRemoteJobs, type RemoteJobs } from '#engine/remote/remote-jobs.ts'
import { AppError } from '#shared/base/errors.ts'
import { LIMITS } from '#shared/base/limits.ts'
import type { Log } from '#shared/base/log.ts'
import type { AdmittedModel } from '#shared/node/node.ts'
import { watchMemory } from './memory-watch.ts'
import type { ChildSetup, FromChild, PlacedModel, ToChild } from './engine-messages.ts'

const CHILD = fileURLToPath(new URL('./engine-child.ts', import.meta.url))
/** What a loaded model takes for each byte of its files: the file as it is read, and the runtime's own copy of the weights. */
const MEMORY_A_FILE_BYTE = 2
export type Ready = FromChild & { readonly type: 'ready' }

export interface EngineProcess {
  readonly ready: Ready
  /** @throws {AppError} the child's error; node_timeout or node_lost when it hung or died, and then `ended` resolves */
  readonly run: RemoteJobs['run']
  /** @throws {AppError} file_corrupt or no_capacity when it does not run there, node_lost */
  load(model: PlacedModel): Promise<AdmittedModel>
  unload(id: string): Promise<void>
  /** Resolves when the process is gone. */
  readonly ended: Promise<void>
  kill(): void
}

/** @throws {AppError} node_lost when the process ends before it is ready */
export async function startEngineProcess(
  setup: ChildSetup,
  env: NodeJS.ProcessEnv,
  log: Log,
): Promise<EngineProcess> {
  const child = fork(CHILD, [], {
    env,
    serialization: 'advanced',
    stdio: ['ignore', 'inherit', 'pipe', 'ipc'],
    execArgv: ['--disable-warning=ExperimentalWarning'],
  })
  // Drivers write what they like there, from a machine without any to the last words of a killed one.
  child.stderr?.setEncoding('utf8').on('data', (text: string) => {
    log.debug('engine.wrote', { part: `engine-${setup.role}`, text: text.slice(0, 2_000) })
  })
  const ended = new Promise<void>((resolve) => child.once('exit', () => resolve()))
  const kill = () => child.kill('SIGKILL')
  process.once('exit', kill)
  void ended.then(() => process.off('exit', kill))
  const say = (message: ToChild) => {
    if (child.connected) child.send(message)
  }
  const jobs = createRemoteJobs({ say, onHung: kill })
  const calls = createRemoteCalls(kill)
  const {
    promise: becameReady,
    resolve: setReady,
    reject: failReady,
  } = Promise.withResolvers<Ready>()
  child.on('message', (message: FromChild) => {
    if (message.type === 'ready') setReady(message)
    else if (message.type === 'log')
      log[message.level](message.event, { part: `engine-${setup.role}`, ...message.fields })
    else if ('call' in message) calls.hear(message)
    else jobs.hear(message)
  })
  void ended.then(() => {
    const lost = new AppError('node_lost', `The ${setup.role} process of the node died.`)
    failReady(lost)
    jobs.lose(lost)
    calls.lose(lost)
  })
  child.once('error', failReady)
  const timer = setTimeout(kill, LIMITS.modelLoadMs * 2)
  say({ type: 'setup', setup })
  const ready = await becameReady.finally(() => clearTimeout(timer))
  const limitBytes = LIMITS.engineProcessBytes + (setup.modelMemoryBytes ?? 0) * MEMORY_A_FILE_BYTE
  const unwatch = watchMemory(child.pid ?? 0, limitBytes, () => {
    const detail = `The job took the ${setup.role} process over ${limitBytes} bytes.`
    jobs.reject(new AppError('too_large', detail))
    kill()
  })
  void ended.then(unwatch)
  return {
    ready,
    ended,
    kill,
    load: (model) => calls.load((call) => say({ type: 'load', call, model })),
    unload: (id) => calls.ask((call) => say({ type: 'unload', call, id })),
    run: (work, payload, options) => jobs.run(work, payload, options),
  }
}
