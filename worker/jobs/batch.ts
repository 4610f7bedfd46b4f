/** The Batch Durable Object: one for each batch, where its policy lets records be kept; a thin shell over its core. */
import { DurableObject } from 'cloudflare:workers'
import { ERRORS, toAppError, toWireError } from '#shared/base/errors.ts'
import { randomBytes } from '#shared/base/ids.ts'
import { createLog } from '#shared/base/log.ts'
import { readConfig } from '#worker/platform/config.ts'
import { dispatch } from '#worker/dispatch/dispatch.ts'
import { openTenant } from '#worker/protocols/durable-objects.ts'
import { createBatchCore, type BatchCore } from './core.ts'
import { writeBatchEvents } from './events.ts'
import {
  type BatchApi,
  type BatchInput,
  type BatchSpec,
  type ResultQuery,
  JOBS_LISTENERS,
} from '#worker/protocols/batch.ts'

/** In plain workerd, webhooks leave through a service of their own that reaches only public addresses (`scripts/stack/workerd.ts`). */
type BatchEnv = Env & { readonly WEBHOOKS?: Fetcher }

export class Batch extends DurableObject<BatchEnv> implements BatchApi {
  readonly #core: BatchCore
  #listeners = 0

  constructor(ctx: DurableObjectState, env: BatchEnv) {
    super(ctx, env)
    const config = readConfig(env)
    const { WEBHOOKS } = env
    this.#core = createBatchCore({
      storage: ctx.storage,
      dispatch: (job, signal) => dispatch({ env, config }, job, signal),
      authority: ({ tenant }) => openTenant(env, tenant, config).snapshot(),
      pause,
      send: (request) => (WEBHOOKS === undefined ? fetch(request) : WEBHOOKS.fetch(request)),
      nowMs: () => Date.now(),
      random: Math.random,
      randomBytes,
      log: createLog(),
      wake: (atMs) => ctx.waitUntil(this.#wake(atMs)),
      resize: ({ id, tenant }, sizeBytes) =>
        openTenant(env, tenant, config).batches.resize(id, sizeBytes),
      forget: ({ id, tenant }) => openTenant(env, tenant, config).batches.remove(id),
    })
  }

  async create(spec: BatchSpec, input: BatchInput) {
    return this.#core.create(spec, input)
  }

  async status(ingress: number) {
    return this.#core.status(ingress)
  }

  async results(query: ResultQuery, ingress: number) {
    return this.#core.results(query, ingress)
  }

  async result(which: number | 'reduced', ingress: number) {
    return this.#core.result(which, ingress)
  }

  async cancel() {
    return this.#core.cancel()
  }

  async acknowledge() {
    return this.#core.acknowledge()
  }

  override async alarm(): Promise<void> {
    await this.#core.drive()
  }

  override async fetch(request: Request): Promise<Response> {
    const query = new URL(request.url).searchParams
    const [after, ingress] = [Number(query.get('after')), Number(query.get('ingress'))]
    try {
      if (this.#listeners >= JOBS_LISTENERS) return new Response(null, { status: 503 })
      const { endSeq } = this.#core.events({ after, limit: 1 }, ingress)
      // 204 tells an EventSource not to reconnect.
      if (endSeq !== null && after >= endSeq) return new Response(null, { status: 204 })
      return new Response(this.#stream(after, ingress))
    } catch (error) {
      const appError = toAppError(error)
      return Response.json(toWireError(appError), { status: ERRORS[appError.code].status })
    }
  }

  #stream(after: number, ingress: number): ReadableStream<Uint8Array> {
    const gone = new AbortController()
    const encoder = new TextEncoder()
    const events = writeBatchEvents(this.#core, {
      after,
      ingress,
      gone: gone.signal,
      nowMs: () => Date.now(),
      pause,
    })
    const end = () => {
      if (gone.signal.aborted) return
      gone.abort()
      this.#listeners -= 1
    }
    this.#listeners += 1
    return new ReadableStream({
      async pull(controller) {
        try {
          const { done, value } = await events.next()
          if (!done) return controller.enqueue(encoder.encode(value))
          end()
          controller.close()
        } catch (error) {
          end()
          controller.error(error)
        }
      },
      cancel: end,
    })
  }

  async #wake(atMs: number | null): Promise<void> {
    if (atMs === null) await this.ctx.storage.deleteAlarm()
    else await this.ctx.storage.setAlarm(atMs)
  }
}

function pause(delayMs: number, signal: AbortSignal): Promise<void> {
  const { promise, resolve } = Promise.withResolvers<void>()
  if (signal.aborted) resolve()
  const timer = setTimeout(resolve, delayMs)
  signal.addEventListener('abort', () => {
    clearTimeout(timer)
    resolve()
  })
  return promise
}
