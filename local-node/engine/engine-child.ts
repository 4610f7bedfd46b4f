/** One engine process: models on ONNX Runtime or kernels on Dawn, never both, because each brings a Dawn of its own. */
import { readFile } from 'node:fs/promises'
import { availableParallelism } from 'node:os'
import { createEngine, type DeviceEngine } from '#engine/create-engine.ts'
import type { LiveEngine } from '#engine/engine.ts'
import { createOrtSessions, type SessionFactory } from '#engine/session/session.ts'
import { toWireError } from '#shared/base/errors.ts'
import type { Adapter } from '#shared/job/job.ts'
import { createLog } from '#shared/base/log.ts'
import type { AdmittedModel } from '#shared/node/node.ts'
import { openDevice, type NodeDevice } from './device.ts'
import { deviceProviders } from './device-providers.ts'
import type { ChildSetup, FromChild, ToChild } from './engine-messages.ts'

const NO_ADAPTER: Adapter = { name: 'cpu', isSoftware: true }
/** The kernel process loads no model, and so no second Dawn. */
const NO_SESSIONS: SessionFactory = { create: () => Promise.reject(new Error('no models here')) }
const LAST_WORDS_MS = 100
/** A job here: how it is stopped, and what waits until its last bytes are taken. */
interface Running {
  readonly controller: AbortController
  taken: () => void
}

const running = new Map<number, Running>()
/** Files of the models that are being loaded, by SHA-256. */
const paths = new Map<string, string>()
let engine: DeviceEngine | undefined
/** Its device hangs: it is about to end. */
let isDying = false
let opened: NodeDevice | undefined

process.on('message', (message: ToChild) => {
  if (message.type === 'setup') void setUp(message.setup)
  else if (message.type === 'run') void run(message)
  else if (message.type === 'load' || message.type === 'unload') void change(message)
  else {
    const job = running.get(message.job)
    if (message.type === 'cancel') job?.controller.abort()
    job?.taken()
  }
})
process.on('disconnect', () => process.exit(0))

async function setUp(setup: ChildSetup): Promise<void> {
  if (setup.role === 'kernels' && setup.device !== 'cpu') opened = await openDevice()
  const adapter = setup.role === 'kernels' ? (opened?.adapter ?? null) : setup.adapter
  engine = await createEngine({
    device: opened?.device,
    adapter: adapter ?? NO_ADAPTER,
    sessions:
      setup.role === 'models' ? createOrtSessions(await import('onnxruntime-node')) : NO_SESSIONS,
    providers: deviceProviders(setup),
    offer: setup.offer,
    manifests: [],
    loadFile: ({ sha256 }) => readFile(paths.get(sha256) ?? ''),
    kernels: setup.kernels,
    features: opened?.features ?? [],
    log: createLog({ write: forwardLog }),
    now: () => performance.now(),
    processor: { usedMs: processorMs, cores: availableParallelism() },
    // Nothing here can stop what the GPU runs; the pause lets the job's error out first.
    onDeviceLost() {
      isDying = true
      setTimeout(() => process.kill(process.pid, 'SIGKILL'), LAST_WORDS_MS)
    },
  })
  say({
    type: 'ready',
    adapter,
    offer: opened?.offer,
    kernels: engine.kernels,
    features: engine.features ?? [],
  })
}

/** Loads or unloads one model. */
async function change(message: ToChild & { type: 'load' | 'unload' }): Promise<void> {
  const { call } = message
  try {
    if (engine === undefined) throw new Error('a model before ready')
    say({ type: 'done', call, admitted: await changed(engine, message) })
  } catch (error) {
    say({ type: 'failed', call, error: toWireError(error) })
  }
}

async function changed(
  live: LiveEngine,
  message: ToChild & { type: 'load' | 'unload' },
): Promise<AdmittedModel | null> {
  if (message.type === 'unload') {
    await live.unload(message.id)
    return null
  }
  const { manifest, paths: placed } = message.model
  for (const [sha256, path] of Object.entries(placed)) paths.set(sha256, path)
  try {
    return await live.load(manifest, new AbortController().signal)
  } finally {
    for (const sha256 of Object.keys(placed)) paths.delete(sha256)
  }
}

async function run({ job, work, payload }: ToChild & { type: 'run' }): Promise<void> {
  const controller = new AbortController()
  const self: Running = { controller, taken: () => {} }
  running.set(job, self)
  try {
    if (engine === undefined) throw new Error('run before ready')
    const emit = (bytes: Uint8Array) => {
      if (controller.signal.aborted) return Promise.resolve()
      const { promise, resolve } = Promise.withResolvers<void>()
      self.taken = resolve
      say({ type: 'bytes', job, bytes })
      return promise
    }
    const answer = await engine.run(work, payload, { signal: controller.signal, emit })
    say({ type: 'answer', job, answer })
  } catch (error) {
    // The device may still work at a job whose caller has left, and the next one would share its end.
    if (!('model' in work)) await engine?.idle()
    if (isDying && controller.signal.aborted) return
    say({ type: 'error', job, error: toWireError(error) })
  } finally {
    running.delete(job)
  }
}

/** A software adapter's threads are this process's own. */
function processorMs(): number {
  const { user, system } = process.cpuUsage()
  return (user + system) / 1_000
}

function say(message: FromChild): void {
  process.send?.(message)
}

function forwardLog(line: string): void {
  const { at: _at, level, event, ...fields } = JSON.parse(line) as Record<string, string>
  say({ type: 'log', level: level === 'warn' ? 'warn' : 'info', event: event ?? '', fields })
}
