/** One engine of the tab in its own worker: models on ONNX Runtime, or kernels on WebGPU. */
import '#shared/base/strict-csp.ts'
import type { DeviceEngine } from '#engine/create-engine.ts'
import type { EngineRole } from '#engine/remote/engine-messages.ts'
import { serveCall, serveJobs, type ServedEngine } from '#engine/remote/serve-jobs.ts'
import { AppError, toWireError } from '#shared/base/errors.ts'
import { createLog } from '#shared/base/log.ts'
import type { AdmittedModel } from '#shared/node/node.ts'
import { openRoleEngine, type RoleEngine } from './device.ts'
import type { FromEngine, ToEngine } from './engine-messages.ts'
import { openFileShelf } from './file-shelf.ts'
import { createModelFiles } from './model-files.ts'

const log = createLog({ level: 'warn' })
const loading = new Map<number, AbortController>()
let opened: RoleEngine | undefined
const served: ServedEngine = { engine: () => opened?.engine, say }
const takeJob = serveJobs(served)

self.addEventListener('message', ({ data }: MessageEvent<ToEngine>) => {
  if (data.type === 'setup') void setUp(data.role)
  else if ('job' in data) takeJob(data)
  else if (data.type === 'abandon') loading.get(data.call)?.abort()
  else {
    if (data.type === 'rest') say({ type: 'heard', call: data.call })
    void serveCall(served, data.call, (engine) => change(engine, data))
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
        // The job that lost the device reports its own error first.
        setTimeout(() => {
          say({ type: 'lost', reason })
          void settled.then(() => say({ type: 'settled' }))
        })
      },
    })
    say(opened.ready)
  } catch (cause) {
    const detail = `The compute engine could not be loaded: ${String(cause)}`.slice(0, 1_000)
    say({ type: 'unready', error: toWireError(new AppError('internal', detail, { cause })) })
  }
}

async function change(
  engine: DeviceEngine,
  message: ToEngine & { type: 'load' | 'unload' | 'rest' },
): Promise<AdmittedModel | void> {
  if (message.type === 'rest') return engine.idle()
  if (message.type === 'unload') return engine.unload(message.id)
  const controller = new AbortController()
  loading.set(message.call, controller)
  try {
    return await engine.load(message.manifest, controller.signal)
  } finally {
    loading.delete(message.call)
  }
}

function say(message: FromEngine): void {
  postMessage(message)
}
