/** The node's side of one engine worker: starts it, sends it work, and ends it when it is lost or hangs. */
import type { EngineProgress } from '#engine/create-engine.ts'
import { appErrorOf } from '#engine/remote/messages.ts'
import { createRemoteCalls } from '#engine/remote/remote-calls.ts'
import type { EngineRole } from '#engine/remote/engine-messages.ts'
import { createRemoteJobs, type RemoteJobs } from '#engine/remote/remote-jobs.ts'
import { cancelled } from '#shared/base/deadline.ts'
import { AppError } from '#shared/base/errors.ts'
import { LIMITS } from '#shared/base/limits.ts'
import type { ModelManifest } from '#shared/job/model.ts'
import type { AdmittedModel } from '#shared/node/node.ts'
import type { FromEngine, Ready, ToEngine } from './engine-messages.ts'
import type { LivingLink } from './engine-part.ts'

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
  const link = new Link(options)
  const timer = setTimeout(() => link.end('It did not open in time.'), LIMITS.engineOpenMs)
  try {
    return await link.open()
  } catch (error) {
    link.end('It could not be opened.')
    throw error
  } finally {
    clearTimeout(timer)
  }
}

class Link implements EngineLink {
  readonly #options: EngineLinkOptions
  readonly #worker: Worker
  readonly #say = (message: ToEngine) => this.#worker.postMessage(message)
  readonly #jobs = createRemoteJobs({ say: this.#say, onHung: (detail) => this.end(detail) })
  readonly #calls = createRemoteCalls((detail) => this.end(detail))
  readonly run: RemoteJobs['run'] = (...job) => this.#jobs.run(...job)
  readonly #heard = new Map<number, () => void>()
  readonly #opened = Promise.withResolvers<Ready>()
  readonly #lost = Promise.withResolvers<string>()
  readonly #ended = Promise.withResolvers<void>()
  readonly lost = this.#lost.promise
  readonly ended = this.#ended.promise
  #ready: Ready | undefined
  #isLost = false

  constructor(options: EngineLinkOptions) {
    this.#options = options
    const { role } = options
    this.#worker = new Worker(new URL('./engine.worker.ts', import.meta.url), {
      type: 'module',
      name: `littoral-${role}`,
    })
    this.#worker.addEventListener('message', ({ data }: MessageEvent<FromEngine>) => this.#on(data))
    this.#worker.addEventListener('error', ({ message }) =>
      this.end(`The worker for ${role} ended: ${message || 'it could not be loaded'}.`),
    )
    // The worker may be lost while no caller waits for `open`.
    this.#opened.promise.catch(() => {})
  }

  get ready(): Ready {
    if (this.#ready === undefined) throw new Error('the link is open')
    return this.#ready
  }

  async open(): Promise<EngineLink> {
    this.#say({ type: 'setup', role: this.#options.role })
    this.#ready = await this.#opened.promise
    return this
  }

  async load(manifest: ModelManifest, signal: AbortSignal): Promise<AdmittedModel> {
    if (signal.aborted) throw cancelled()
    let abandon = () => {}
    try {
      return await this.#calls.load((call) => {
        abandon = () => this.#say({ type: 'abandon', call })
        signal.addEventListener('abort', abandon)
        this.#say({ type: 'load', call, manifest })
      })
    } finally {
      signal.removeEventListener('abort', abandon)
    }
  }

  unload(id: string): Promise<void> {
    return this.#calls.ask((call) => this.#say({ type: 'unload', call, id }))
  }

  async rest(onHeard: () => void = () => {}): Promise<void> {
    let rested = 0
    try {
      await this.#calls.ask((call) => {
        this.#heard.set((rested = call), onHeard)
        this.#say({ type: 'rest', call })
      })
    } finally {
      this.#heard.delete(rested)
    }
  }

  end(reason: string): void {
    this.#lose(reason)
    this.#worker.terminate()
    this.#ended.resolve()
  }

  #on(message: FromEngine): void {
    if (message.type === 'ready') this.#opened.resolve(message)
    else if (message.type === 'unready') this.#opened.reject(appErrorOf(message.error))
    else if (message.type === 'lost') this.#lose(message.reason)
    else if (message.type === 'settled') this.end('Its device was lost.')
    else if (message.type === 'progress') this.#options.onProgress?.(message.progress)
    else if (message.type === 'fetched') this.#options.onBytes?.(message.sizeBytes)
    else if (message.type === 'heard') this.#heard.get(message.call)?.()
    else if ('call' in message) this.#calls.hear(message)
    else this.#jobs.hear(message)
  }

  #lose(reason: string): void {
    if (this.#isLost) return
    this.#isLost = true
    const lost = new AppError('node_lost', reason.slice(0, 512))
    this.#opened.reject(lost)
    this.#lost.resolve(lost.detail)
    this.#jobs.lose(lost)
    this.#calls.lose(lost)
  }
}
