/** One engine worker of the tab from the outside: started, spoken to, and ended when it is lost or will not end a job. */
import { cancelled } from '#shared/base/deadline.ts'
import type { EngineProgress } from '#engine/create-engine.ts'
import type { RunOptions } from '#engine/engine.ts'
import { HANG_LOAD_MS, HANG_MS } from '#engine/hang-limits.ts'
import { AppError, type WireError } from '#shared/base/errors.ts'
import type { Answer, Work } from '#shared/job/job.ts'
import { HANG_RULE } from '#shared/kernels/rules.ts'
import { LIMITS } from '#shared/base/limits.ts'
import type { ModelManifest } from '#shared/job/model.ts'
import type { AdmittedModel } from '#shared/node/node.ts'
import type { EngineRole, FromEngine, ToEngine } from './engine-messages.ts'
import type { LivingLink } from './engine-part.ts'

export interface EngineLinkOptions {
  readonly role: EngineRole
  readonly onProgress?: ((progress: EngineProgress) => void) | undefined
  readonly onBytes?: ((sizeBytes: number) => void) | undefined
}

export type Ready = FromEngine & { readonly type: 'ready' }

export interface EngineLink extends LivingLink {
  readonly ready: Ready
  /** @throws {AppError} the engine's error; node_lost or node_timeout when it was lost or hung, and then `lost` resolves */
  run(work: Work, payload: Uint8Array, options: RunOptions): Promise<Answer>
  /** @throws {AppError} file_corrupt, no_capacity when it does not run there, cancelled, node_lost */
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

interface Job {
  readonly emit: RunOptions['emit']
  readonly answer: PromiseWithResolvers<Answer>
  /** Chunks are handed on one after the other, the answer after the last. */
  sent: Promise<void>
  /** Ends a worker that is silent; one that writes is not. */
  readonly watch: () => void
}

class Link implements EngineLink {
  readonly #options: EngineLinkOptions
  readonly #worker: Worker
  readonly #jobs = new Map<number, Job>()
  readonly #calls = new Map<number, PromiseWithResolvers<AdmittedModel | null>>()
  readonly #heard = new Map<number, () => void>()
  readonly #opened = Promise.withResolvers<Ready>()
  readonly #lost = Promise.withResolvers<string>()
  readonly #ended = Promise.withResolvers<void>()
  #ready: Ready | undefined
  #failure: AppError | undefined
  #serial = 0

  constructor(options: EngineLinkOptions) {
    this.#options = options
    const { role } = options
    this.#worker = new Worker(new URL('./engine.worker.ts', import.meta.url), {
      type: 'module',
      name: `littoral-${role}`,
    })
    this.#worker.addEventListener('message', ({ data }: MessageEvent<FromEngine>) => this.#on(data))
    this.#worker.addEventListener('error', ({ message }) =>
      this.end(`The program for ${role} ended: ${message || 'it could not be loaded'}.`),
    )
    // Nobody may be waiting when it is lost.
    this.#opened.promise.catch(() => {})
  }

  get ready(): Ready {
    if (this.#ready === undefined) throw new Error('the link is open')
    return this.#ready
  }

  get lost(): Promise<string> {
    return this.#lost.promise
  }

  get ended(): Promise<void> {
    return this.#ended.promise
  }

  async open(): Promise<EngineLink> {
    this.#say({ type: 'setup', role: this.#options.role })
    this.#ready = await this.#opened.promise
    return this
  }

  async run(work: Work, payload: Uint8Array, { signal, emit }: RunOptions): Promise<Answer> {
    if (this.#failure !== undefined) throw this.#failure
    if (signal.aborted) throw cancelled()
    const job = (this.#serial += 1)
    const answer = Promise.withResolvers<Answer>()
    const hangMs = HANG_MS[work.kind] * (1 + this.#jobs.size)
    let timer: ReturnType<typeof setTimeout> | undefined
    const watch = () => {
      clearTimeout(timer)
      timer = setTimeout(() => {
        const meta = work.kind === 'kernel' ? { rule: HANG_RULE } : {}
        const detail = `The job was silent for ${hangMs} ms; what ran it was ended.`
        answer.reject(new AppError('node_timeout', detail, { meta }))
        this.end(detail)
      }, hangMs)
    }
    const cancel = () => {
      this.#say({ type: 'cancel', job })
      answer.reject(cancelled())
    }
    signal.addEventListener('abort', cancel)
    this.#jobs.set(job, { emit, answer, sent: Promise.resolve(), watch })
    watch()
    try {
      this.#say({ type: 'run', job, work, payload })
      return await answer.promise
    } finally {
      clearTimeout(timer)
      signal.removeEventListener('abort', cancel)
      this.#jobs.delete(job)
    }
  }

  async load(manifest: ModelManifest, signal: AbortSignal): Promise<AdmittedModel> {
    if (signal.aborted) throw cancelled()
    const call = (this.#serial += 1)
    const abandon = () => this.#say({ type: 'abandon', call })
    signal.addEventListener('abort', abandon)
    try {
      const admitted = await this.#ask({ type: 'load', call, manifest })
      if (admitted !== null) return admitted
      throw new AppError('internal', `${manifest.id} was loaded as nothing.`)
    } finally {
      signal.removeEventListener('abort', abandon)
    }
  }

  async unload(id: string): Promise<void> {
    await this.#ask({ type: 'unload', call: (this.#serial += 1), id })
  }

  async rest(onHeard: () => void = () => {}): Promise<void> {
    const call = (this.#serial += 1)
    this.#heard.set(call, onHeard)
    try {
      await this.#ask({ type: 'rest', call })
    } finally {
      this.#heard.delete(call)
    }
  }

  end(reason: string): void {
    this.#lose(reason)
    this.#worker.terminate()
    this.#ended.resolve()
  }

  async #ask(message: ToEngine & { readonly call: number }): Promise<AdmittedModel | null> {
    if (this.#failure !== undefined) throw this.#failure
    const answer = Promise.withResolvers<AdmittedModel | null>()
    this.#calls.set(message.call, answer)
    const timer =
      message.type === 'load'
        ? setTimeout(() => this.end('A model was not loaded in time.'), HANG_LOAD_MS)
        : undefined
    try {
      this.#say(message)
      return await answer.promise
    } finally {
      clearTimeout(timer)
      this.#calls.delete(message.call)
    }
  }

  #on(message: FromEngine): void {
    if (message.type === 'ready') this.#opened.resolve(message)
    else if (message.type === 'unready') this.#opened.reject(appErrorOf(message.error))
    else if (message.type === 'lost') this.#lose(message.reason)
    else if (message.type === 'settled') this.end('Its device was lost.')
    else if (message.type === 'progress') this.#options.onProgress?.(message.progress)
    else if (message.type === 'fetched') this.#options.onBytes?.(message.sizeBytes)
    else if (message.type === 'heard') this.#heard.get(message.call)?.()
    else if (message.type === 'done') this.#calls.get(message.call)?.resolve(message.admitted)
    else if (message.type === 'failed')
      this.#calls.get(message.call)?.reject(appErrorOf(message.error))
    else this.#onJob(message)
  }

  #onJob(message: FromEngine & { readonly job: number }): void {
    const job = this.#jobs.get(message.job)
    if (job === undefined) return
    const { answer } = job
    if (message.type === 'bytes') {
      for (const { watch } of this.#jobs.values()) watch()
      job.sent = job.sent.then(() => job.emit(message.bytes))
      job.sent.then(
        () => this.#say({ type: 'taken', job: message.job }),
        (error: unknown) => {
          this.#say({ type: 'cancel', job: message.job })
          answer.reject(error)
        },
      )
    } else if (message.type === 'answer')
      job.sent.then(() => answer.resolve(message.answer), answer.reject)
    else if (message.type === 'error') answer.reject(appErrorOf(message.error))
  }

  /** Nothing more is heard of what it was asked. */
  #lose(reason: string): void {
    if (this.#failure !== undefined) return
    const lost = new AppError('node_lost', reason.slice(0, 512))
    this.#failure = lost
    this.#opened.reject(lost)
    for (const { answer } of this.#jobs.values()) answer.reject(lost)
    for (const call of this.#calls.values()) call.reject(lost)
    this.#lost.resolve(lost.detail)
  }

  #say(message: ToEngine): void {
    this.#worker.postMessage(message)
  }
}

function appErrorOf({ code, detail, meta }: WireError): AppError {
  return new AppError(code, detail, { meta: meta ?? {} })
}
