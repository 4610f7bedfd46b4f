/** The node's side of one engine worker: starts it, sends it work, and ends it when it is lost or hangs. */
import type { EngineProgress } from '#engine/create-engine.ts'
import { appErrorOf } from '#engine/remote/messages.ts'
import { createRemoteCalls, type RemoteCalls } from '#engine/remote/remote-calls.ts'
import type { EngineRole } from '#engine/remote/engine-messages.ts'
import { createRemoteJobs, type RemoteJobs } from '#engine/remote/remote-jobs.ts'
import { cancelled } from '#shared/base/deadline.ts'
import { AppError } from '#shared/base/errors.ts'
import type { ModelManifest } from '#shared/job/model.ts'
import type { AdmittedModel } from '#shared/node/node.ts'
import type { FromEngine, Ready, ToEngine } from './engine-messages.ts'
import type { LivingLink } from './engine-part.ts'

const ENGINE_OPEN_MS = 30_000

export interface EngineLinkOptions {
  readonly role: EngineRole
  readonly onProgress?: ((progress: EngineProgress) => void) | undefined
  readonly onBytes?: ((sizeBytes: number) => void) | undefined
}

export interface EngineLink extends LivingLink {
  readonly ready: Ready
  /** @throws {AppError} the engine's error; node_lost or node_timeout when the engine was lost or hung (`lost` resolves) */
  readonly run: RemoteJobs['run']
  /** @throws {AppError} file_corrupt, no_capacity when the model does not run there, cancelled, node_lost */
  load(manifest: ModelManifest, signal: AbortSignal): Promise<AdmittedModel>
  unload(id: string): Promise<void>
}

/** @throws {AppError} why it cannot be opened */
export async function openEngineLink(options: EngineLinkOptions): Promise<EngineLink> {
  const { role, onProgress, onBytes } = options
  const worker = new Worker(new URL('./engine.worker.ts', import.meta.url), {
    type: 'module',
    name: `littoral-${role}`,
  })
  const say = (message: ToEngine) => worker.postMessage(message)
  const opened = Promise.withResolvers<Ready>()
  const life = { lost: Promise.withResolvers<string>(), ended: Promise.withResolvers<void>() }
  const heard = new Map<number, () => void>()
  let isLost = false
  const lose = (reason: string) => {
    if (isLost) return
    isLost = true
    const lost = new AppError('node_lost', reason.slice(0, 512))
    opened.reject(lost)
    life.lost.resolve(lost.detail)
    jobs.lose(lost)
    calls.lose(lost)
  }
  const end = (reason: string) => {
    lose(reason)
    worker.terminate()
    life.ended.resolve()
  }
  const jobs = createRemoteJobs({ say, onHung: end })
  const calls = createRemoteCalls(end)
  worker.addEventListener('error', ({ message }) =>
    end(`The worker for ${role} ended: ${message || 'it could not be loaded'}.`),
  )
  worker.addEventListener('message', ({ data }: MessageEvent<FromEngine>) => {
    if (data.type === 'ready') opened.resolve(data)
    else if (data.type === 'unready') opened.reject(appErrorOf(data.error))
    else if (data.type === 'lost') lose(data.reason)
    else if (data.type === 'settled') end('Its device was lost.')
    else if (data.type === 'progress') onProgress?.(data.progress)
    else if (data.type === 'fetched') onBytes?.(data.sizeBytes)
    else if (data.type === 'heard') heard.get(data.call)?.()
    else if ('call' in data) calls.hear(data)
    else jobs.hear(data)
  })
  say({ type: 'setup', role })
  const ready = await openInTime(opened.promise, end)
  return {
    ready,
    lost: life.lost.promise,
    ended: life.ended.promise,
    end,
    run: (...job) => jobs.run(...job),
    load: (manifest, signal) => load({ calls, say }, manifest, signal),
    unload: (id) => calls.ask((call) => say({ type: 'unload', call, id })),
    async rest(onHeard = () => {}) {
      let rested = 0
      try {
        await calls.ask((call) => {
          heard.set((rested = call), onHeard)
          say({ type: 'rest', call })
        })
      } finally {
        heard.delete(rested)
      }
    },
  }
}

async function openInTime(opened: Promise<Ready>, end: EngineLink['end']): Promise<Ready> {
  const timer = setTimeout(() => end('It did not open in time.'), ENGINE_OPEN_MS)
  try {
    return await opened
  } catch (error) {
    end('It could not be opened.')
    throw error
  } finally {
    clearTimeout(timer)
  }
}

async function load(
  { calls, say }: { readonly calls: RemoteCalls; readonly say: (message: ToEngine) => void },
  manifest: ModelManifest,
  signal: AbortSignal,
): Promise<AdmittedModel> {
  if (signal.aborted) throw cancelled()
  let abandon = () => {}
  try {
    return await calls.load((call) => {
      abandon = () => say({ type: 'abandon', call })
      signal.addEventListener('abort', abandon)
      say({ type: 'load', call, manifest })
    })
  } finally {
    signal.removeEventListener('abort', abandon)
  }
}
