/** One engine process: models on ONNX Runtime or kernels on Dawn, never both, because each contains its own Dawn. */
import { readFile } from 'node:fs/promises'
import { Socket } from 'node:net'
import { availableParallelism } from 'node:os'
import { createEngine, type DeviceEngine } from '#engine/create-engine.ts'
import { createPipePort } from '#engine/remote/pipe-port.ts'
import { serveCall, serveJobs, type ServedEngine } from '#engine/remote/serve-jobs.ts'
import { createOrtSessions, type SessionFactory } from '#engine/runtime/runtime-session.ts'
import type { Adapter } from '#shared/job/job.ts'
import { createLog } from '#shared/base/log.ts'
import type { AdmittedModel } from '#shared/node/node.ts'
import { deviceProviders, openDevice, type NodeDevice } from './device.ts'
import {
  FROM_CHILD,
  PIPE_FD,
  TO_CHILD,
  type ChildSetup,
  type FromChild,
  type ToChild,
} from './engine-messages.ts'

const NO_ADAPTER: Adapter = { name: 'cpu', isSoftware: true }
/** The kernel process loads no model, so it needs no second Dawn. */
const NO_SESSIONS: SessionFactory = { create: () => Promise.reject(new Error('no models here')) }
const LAST_WORDS_MS = 100

/** Paths of the files of models that are being loaded, by SHA-256. */
const paths = new Map<string, string>()
let engine: DeviceEngine | undefined
const pipe = new Socket({ fd: PIPE_FD, readable: true, writable: true })
const port = createPipePort<FromChild, ToChild>({
  sink: pipe,
  kinds: { sent: FROM_CHILD, heard: TO_CHILD },
  onMessage: take,
  soon: setImmediate,
})
const served: ServedEngine = { engine: () => engine, say }
const takeJob = serveJobs(served)
let opened: NodeDevice | undefined

// A throw, for a broken frame, ends this process, and the node starts another one.
pipe.on('data', port.hear)
pipe.on('error', () => process.exit(0))
// The node has ended.
pipe.on('close', () => process.exit(0))

function take(message: ToChild): void {
  if (message.type === 'setup') void setUp(message.setup)
  else if ('job' in message) takeJob(message)
  else void serveCall(served, message.call, (live) => change(live, message))
}

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
    // Only the end of the process stops the GPU's work. The pause lets the job's error out first.
    onDeviceLost: () => void setTimeout(() => process.kill(process.pid, 'SIGKILL'), LAST_WORDS_MS),
  })
  say({
    type: 'ready',
    adapter,
    offer: opened?.offer,
    kernels: engine.kernels,
    features: engine.features ?? [],
  })
}

async function change(
  live: DeviceEngine,
  message: ToChild & { type: 'load' | 'unload' },
): Promise<AdmittedModel | void> {
  if (message.type === 'unload') return live.unload(message.id)
  const { manifest, paths: placed } = message.model
  for (const [sha256, path] of Object.entries(placed)) paths.set(sha256, path)
  try {
    return await live.load(manifest, new AbortController().signal)
  } finally {
    for (const sha256 of Object.keys(placed)) paths.delete(sha256)
  }
}

function say(message: FromChild): void {
  port.say(message)
  // The next job may block this thread; the answer to this one must not wait for it.
  if (message.type === 'answer' || message.type === 'error') port.flush()
}

/** Gives the CPU time of this process, which includes the threads of a software adapter. */
function processorMs(): number {
  const { user, system } = process.cpuUsage()
  return (user + system) / 1_000
}

function forwardLog(line: string): void {
  const { at: _at, level, event, ...fields } = JSON.parse(line) as Record<string, string>
  say({ type: 'log', level: level === 'warn' ? 'warn' : 'info', event: event ?? '', fields })
}
