/** One engine of the tab in a worker of its own: models on ONNX Runtime or kernels on WebGPU, ended when its device is lost. */
import './strict-csp.ts'
import { AppError, invariant, toWireError } from '#shared/base/errors.ts'
import { createLog } from '#shared/base/log.ts'
import type { AdmittedModel } from '#shared/node/node.ts'
import { openRoleEngine, type RoleEngine } from './device.ts'
import type { EngineRole, FromEngine, ToEngine } from './engine-messages.ts'
import { openFileShelf } from './file-shelf.ts'
import { createModelFiles } from './model-files.ts'

/** A job here: how it is stopped, and what waits until its last bytes are taken. */
interface Running {
  readonly controller: AbortController
  taken: () => void
}

const log = createLog({ level: 'warn' })
const running = new Map<number, Running>()
const loading = new Map<number, AbortController>()
let opened: RoleEngine | undefined

self.addEventListener('message', ({ data }: MessageEvent<ToEngine>) => {
  if (data.type === 'setup') void setUp(data.role)
  else if (data.type === 'run') void run(data)
  else if (data.type === 'abandon') loading.get(data.call)?.abort()
  else if (data.type === 'load' || data.type === 'unload' || data.type === 'rest') void change(data)
  else {
    const job = running.get(data.job)
    if (data.type === 'cancel') job?.controller.abort()
    job?.taken()
  }
})

async function setUp(role: EngineRole): Promise<void> {
  try {
    opened = await openRoleEngine({
      role,
      loadFile: createModelFiles({
        origin: self.location.origin,
        fetch: (input, init) => fetch(input, init),
        shelf: role === 'models' ? await openFileShelf() : undefined,
        log,
        onBytes: (sizeBytes) => say({ type: 'fetched', sizeBytes }),
      }),
      log,
      onProgress: (progress) => say({ type: 'progress', progress }),
      onLost(reason, settled) {
        say({ type: 'lost', reason })
        void settled.then(() => say({ type: 'settled' }))
      },
    })
    const { adapter, offer, hasWebGpu, features } = opened
    say({ type: 'ready', adapter, offer, hasWebGpu, features })
  } catch (cause) {
    const detail = `The program that computes could not be loaded: ${String(cause)}`.slice(0, 1_000)
    say({ type: 'unready', error: toWireError(new AppError('internal', detail, { cause })) })
  }
}

async function change(message: ToEngine & { type: 'load' | 'unload' | 'rest' }): Promise<void> {
  const { call } = message
  if (message.type === 'rest') say({ type: 'heard', call })
  try {
    say({ type: 'done', call, admitted: await changed(message) })
  } catch (error) {
    say({ type: 'failed', call, error: toWireError(error) })
  }
}

async function changed(
  message: ToEngine & { type: 'load' | 'unload' | 'rest' },
): Promise<AdmittedModel | null> {
  invariant(opened !== undefined, 'the engine is ready')
  const { engine } = opened
  if (message.type === 'load') {
    const controller = new AbortController()
    loading.set(message.call, controller)
    try {
      return await engine.load(message.manifest, controller.signal)
    } finally {
      loading.delete(message.call)
    }
  }
  if (message.type === 'unload') await engine.unload(message.id)
  else await engine.idle()
  return null
}

async function run({ job, work, payload }: ToEngine & { type: 'run' }): Promise<void> {
  const controller = new AbortController()
  const self: Running = { controller, taken: () => {} }
  running.set(job, self)
  try {
    invariant(opened !== undefined, 'the engine is ready')
    const emit = (bytes: Uint8Array) => {
      if (controller.signal.aborted) return Promise.resolve()
      const { promise, resolve } = Promise.withResolvers<void>()
      self.taken = resolve
      say({ type: 'bytes', job, bytes })
      return promise
    }
    const { signal } = controller
    say({ type: 'answer', job, answer: await opened.engine.run(work, payload, { signal, emit }) })
  } catch (error) {
    say({ type: 'error', job, error: toWireError(error) })
  } finally {
    running.delete(job)
  }
}

function say(message: FromEngine): void {
  postMessage(message)
}
