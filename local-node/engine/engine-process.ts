/** One engine process from the outside: started, spoken to, and killed without mercy when a job will not end. */
import { fork, type ChildProcess } from 'node:child_process'
import { fileURLToPath } from 'node:url'
import { cancelled } from '#shared/base/deadline.ts'
import type { RunOptions } from '#engine/engine.ts'
import { HANG_LOAD_MS, HANG_MS } from '#engine/hang-limits.ts'
import { AppError, type WireError } from '#shared/base/errors.ts'
import type { Answer, Work } from '#shared/job/job.ts'
import { HANG_RULE } from '#shared/kernels/rules.ts'
import { LIMITS } from '#shared/base/limits.ts'
import type { Log } from '#shared/base/log.ts'
import type { AdmittedModel } from '#shared/node/node.ts'
import { watchMemory } from './memory-watch.ts'
import type { ChildSetup, FromChild, PlacedModel, ToChild } from './engine-messages.ts'

const CHILD = fileURLToPath(new URL('./engine-child.ts', import.meta.url))
/** What a loaded model takes for each byte of its files: the file as it is read, and the runtime's own copy of the weights. */
const MEMORY_A_FILE_BYTE = 2
export type Ready = FromChild & { readonly type: 'ready' }

export interface ProcessRunOptions extends RunOptions {
  /** Called once the job needs the process no more, whether or not its caller has left: it has computed, failed or died. */
  readonly onFree?: () => void
}

export interface EngineProcess {
  readonly ready: Ready
  /** @throws {AppError} the child's error; node_timeout or node_lost when it hung or died, and then `ended` resolves */
  run(work: Work, payload: Uint8Array, options: ProcessRunOptions): Promise<Answer>
  /** @throws {AppError} file_corrupt or no_capacity when it does not run there, node_lost */
  load(model: PlacedModel): Promise<AdmittedModel>
  unload(id: string): Promise<void>
  /** Resolves when the process is gone. */
  readonly ended: Promise<void>
  kill(): void
}

interface Pending {
  readonly emit: RunOptions['emit']
  readonly resolve: (answer: Answer) => void
  readonly reject: (error: unknown) => void
  /** Chunks are handed on one after the other, the answer after the last. */
  sent: Promise<void>
  /** Kills a process that hangs; one that writes does not. */
  readonly hung: NodeJS.Timeout
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
  const pending = new Map<number, Pending>()
  /** Jobs that the process still works at, those of callers who left among them. */
  const busy = new Map<number, () => void>()
  const calls = createCalls(child)
  const {
    promise: becameReady,
    resolve: setReady,
    reject: failReady,
  } = Promise.withResolvers<Ready>()
  child.on('message', (message: FromChild) => {
    if (message.type === 'ready') setReady(message)
    else if (message.type === 'log')
      log[message.level](message.event, { part: `engine-${setup.role}`, ...message.fields })
    else if (message.type === 'done' || message.type === 'failed') calls.onMessage(message)
    else {
      if (!isLastWord(message)) busy.get(message.job)?.()
      settle(child, pending, message)
    }
  })
  void ended.then(() => {
    const lost = new AppError('node_lost', `The ${setup.role} process of the node died.`)
    failReady(lost)
    for (const job of pending.values()) job.reject(lost)
    pending.clear()
    // Whoever comes next finds the process that takes over.
    setImmediate(() => {
      for (const free of busy.values()) free()
    })
    calls.lose(lost)
  })
  child.once('error', failReady)
  const timer = setTimeout(kill, LIMITS.modelLoadMs * 2)
  say(child, { type: 'setup', setup })
  const ready = await becameReady.finally(() => clearTimeout(timer))
  const limitBytes = LIMITS.engineProcessBytes + (setup.modelMemoryBytes ?? 0) * MEMORY_A_FILE_BYTE
  const unwatch = watchMemory(child.pid ?? 0, limitBytes, () => {
    const detail = `The job took the ${setup.role} process over ${limitBytes} bytes.`
    for (const job of pending.values()) job.reject(new AppError('too_large', detail))
    pending.clear()
    kill()
  })
  void ended.then(unwatch)
  let serial = 0
  return {
    ready,
    ended,
    kill,
    load: async (model) => {
      const admitted = await calls.ask({ type: 'load', model }, kill)
      if (admitted !== null) return admitted
      throw new AppError('internal', `${model.manifest.id} was loaded as nothing.`)
    },
    unload: async (id) => void (await calls.ask({ type: 'unload', id }, kill)),
    run: (work, payload, options) =>
      runIn(child, { pending, busy, job: (serial += 1), work, payload, options, kill }),
  }
}

type Call = ToChild & { readonly type: 'load' | 'unload' }
type CallBody = Call extends infer C ? (C extends Call ? Omit<C, 'call'> : never) : never

/** Loads and unloads that the child has not answered. */
function createCalls(child: ChildProcess) {
  const open = new Map<number, PromiseWithResolvers<AdmittedModel | null>>()
  let serial = 0
  return {
    async ask(body: CallBody, kill: () => void): Promise<AdmittedModel | null> {
      const call = (serial += 1)
      const answer = Promise.withResolvers<AdmittedModel | null>()
      open.set(call, answer)
      const timer = setTimeout(kill, HANG_LOAD_MS)
      try {
        say(child, { ...body, call })
        return await answer.promise
      } finally {
        clearTimeout(timer)
        open.delete(call)
      }
    },
    onMessage(message: FromChild & { readonly type: 'done' | 'failed' }) {
      const answer = open.get(message.call)
      if (message.type === 'done') answer?.resolve(message.admitted)
      else answer?.reject(appErrorOf(message.error))
    },
    lose(error: AppError) {
      for (const answer of open.values()) answer.reject(error)
    },
  }
}

interface Run {
  readonly pending: Map<number, Pending>
  readonly job: number
  readonly work: Work
  readonly payload: Uint8Array
  readonly options: ProcessRunOptions
  readonly busy: Map<number, () => void>
  readonly kill: () => void
}

async function runIn(
  child: ChildProcess,
  { pending, busy, job, work, payload, options, kill }: Run,
): Promise<Answer> {
  const { signal, emit, onFree } = options
  if (signal.aborted) {
    onFree?.()
    throw cancelled()
  }
  const { promise, resolve, reject } = Promise.withResolvers<Answer>()
  // The process may be deep in a run that nothing interrupts; the caller need not wait for it.
  const cancel = () => {
    say(child, { type: 'cancel', job })
    reject(cancelled())
  }
  signal.addEventListener('abort', cancel)
  const hangMs = HANG_MS[work.kind] * (1 + pending.size)
  const hung = setTimeout(() => {
    reject(
      new AppError('node_timeout', `The job did not end in ${hangMs} ms; its process was killed.`, {
        meta: work.kind === 'kernel' ? { rule: HANG_RULE } : {},
      }),
    )
    kill()
  }, hangMs)
  if (onFree !== undefined) {
    // Nobody may wait for it any more when it hangs.
    const stuck = setTimeout(kill, hangMs)
    busy.set(job, () => {
      clearTimeout(stuck)
      busy.delete(job)
      onFree()
    })
  }
  pending.set(job, { emit, resolve, reject, sent: Promise.resolve(), hung })
  try {
    say(child, { type: 'run', job, work, payload })
    return await promise
  } finally {
    clearTimeout(hung)
    signal.removeEventListener('abort', cancel)
    pending.delete(job)
  }
}

function settle(
  child: ChildProcess,
  pending: Map<number, Pending>,
  message: FromChild & { readonly job: number },
): void {
  const job = pending.get(message.job)
  if (job === undefined) return
  if (message.type === 'bytes') {
    for (const { hung } of pending.values()) hung.refresh()
    job.sent = job.sent.then(() => job.emit(message.bytes))
    job.sent.then(
      () => say(child, { type: 'taken', job: message.job }),
      (error: unknown) => {
        say(child, { type: 'cancel', job: message.job })
        job.reject(error)
      },
    )
  } else if (message.type === 'answer') job.sent.then(() => job.resolve(message.answer), job.reject)
  else if (message.type === 'error') job.reject(appErrorOf(message.error))
}

/** The process says it of a device that is gone, and goes itself. */
function isLastWord(message: FromChild): boolean {
  return message.type === 'error' && ['node_timeout', 'node_lost'].includes(message.error.code)
}

function appErrorOf({ code, detail, meta }: WireError): AppError {
  return new AppError(code, detail, { meta: meta ?? {} })
}

function say(child: ChildProcess, message: ToChild): void {
  if (child.connected) child.send(message)
}
