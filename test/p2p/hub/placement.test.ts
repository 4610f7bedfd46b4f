/**
 * Models that are loaded for waiting jobs: a real dispatcher, work streams and shelves. Rules: docs/design/models.md.
 */
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import type { LiveEngine } from '#engine/engine.ts'
import { createModelShelf } from '#node-core/model-shelf.ts'
import type { LoadRequest } from '#p2p/stream/messages.ts'
import { AppError } from '#shared/base/errors.ts'
import { silentLog } from '#shared/base/log.ts'
import { manifestDigest } from '#shared/job/model.ts'
import type { AdmittedModel } from '#shared/node/node.ts'
import type { CompiledPolicy } from '#shared/law/policy.ts'
import { encodeBytes } from '#shared/job/tensor.ts'
import type { DispatchRequest } from '#worker/protocols/hub.ts'
import {
  createHubBench,
  kernelRequest,
  type TestHubBench,
  type TestShelf,
} from '#test/support/hub/hub.ts'
import { EMBEDDING_MANIFEST } from '#test/support/hub/manifests.ts'
import { compiled } from '#test/support/hub/policies.ts'
import { until } from '#test/support/poll.ts'
import { MODEL_BUSY_BACKOFF_MS } from '#worker/hub/loads/model-loads.ts'

const EU = compiled({ compute: { allow: ['EU'], deny: [] } })
const DIGEST = manifestDigest(EMBEDDING_MANIFEST)
const PAYLOAD = encodeBytes(['hello'])
const never = new AbortController().signal
/** Longer than anything else that a job waits for. */
const LOAD_MS = 30_000

/** Answers every text with [1, 2, 3, 4], once the model is loaded. */
class Embedder implements LiveEngine {
  readonly adapter = { name: 'test cpu', isSoftware: true }
  readonly kernels = [] as const
  models: AdmittedModel[] = []
  readonly #loading: () => Promise<unknown>

  /** @param loading is awaited before the model is there */
  constructor(loading: () => Promise<unknown> = async () => {}) {
    this.#loading = loading
  }

  async load() {
    await this.#loading()
    const model = {
      id: EMBEDDING_MANIFEST.id,
      digest: DIGEST,
      provider: 'cpu',
      serviceMs: 1,
    } as const
    this.models = [model]
    return model
  }

  async unload() {
    this.models = []
  }

  runs = (): boolean => true

  async run(...[work, , { emit }]: Parameters<LiveEngine['run']>) {
    if (this.models.length === 0) throw new AppError('model_not_found', `No ${work.kind} here.`)
    await emit(new Uint8Array(Float32Array.of(1, 2, 3, 4).buffer))
    const output = { name: 'embedding', datatype: 'FP32', shape: [1, 4], sizeBytes: 16 } as const
    const outputs = [{ ...output, shape: [...output.shape] }]
    return { outputs, provider: 'cpu' as const, adapter: this.adapter, computeMs: 1 }
  }

  close = () => Promise.resolve()
}

interface Loader extends TestShelf {
  readonly engine: Embedder
  readonly asked: LoadRequest[]
}

/** @param load replaces the shelf's own */
function createLoader(engine: Embedder, load?: () => Promise<void>): Loader {
  const shelf = createModelShelf({
    engine,
    manifests: [EMBEDDING_MANIFEST],
    memoryBytes: 1_000,
    fetchFiles: () => Promise.resolve(() => {}),
    log: silentLog,
    now: () => performance.now(),
  })
  const asked: LoadRequest[] = []
  return {
    engine,
    asked,
    loadable: () => shelf.loadable(),
    async load(request, signal) {
      asked.push(request)
      if (load !== undefined) return load()
      await shelf.load(request.digest, { ...request, signal })
    },
  }
}

async function request(policy: CompiledPolicy = EU, timeoutMs = 10_000): Promise<DispatchRequest> {
  const inputs = [
    { name: 'text', datatype: 'BYTES' as const, shape: [1], sizeBytes: PAYLOAD.length },
  ]
  const work = { kind: 'model' as const, model: EMBEDDING_MANIFEST.id, digest: DIGEST, inputs }
  return kernelRequest(policy, PAYLOAD, { work, timeoutMs })
}

let hub: TestHubBench
/** The lead of the hub's clock over this machine's. */
let aheadMs: number
beforeEach(async () => {
  aheadMs = 0
  hub = await createHubBench([EMBEDDING_MANIFEST], () => Date.now() + aheadMs)
})
afterEach(() => hub.close())

const join = (country: string, loader: Loader, maxJobs = 4) =>
  hub.join({ country, engine: loader.engine, shelf: loader, maxJobs })
const ask = async (job?: DispatchRequest) =>
  hub.dispatcher.dispatch(job ?? (await request()), PAYLOAD, never)

describe('a job for a model that no allowed node has loaded', () => {
  it('[M1] is answered by a node that loads it, and reports how long that took', async () => {
    const node = createLoader(new Embedder(async () => void (aheadMs += LOAD_MS)))
    await join('DE', node)
    const { outcome, payload } = await ask(await request(EU, 2 * LOAD_MS))
    expect([...new Float32Array(payload.slice().buffer)]).toEqual([1, 2, 3, 4])
    expect(outcome.timing.loadMs).toBeGreaterThanOrEqual(LOAD_MS)
    expect(outcome.timing.queueMs).toBeLessThan(LOAD_MS)
    expect((await ask()).outcome.timing.loadMs).toBeUndefined()
    expect(node.asked.length).toBe(1)
  })

  it('[M10] causes no load when the Worker only looks for a hub that has the model loaded', async () => {
    const node = createLoader(new Embedder())
    await join('DE', node)
    const looking = { ...(await request()), warmOnly: true }
    await expect(ask(looking)).rejects.toMatchObject({ code: 'no_capacity' })
    expect(node.asked).toEqual([])
    await ask()
    expect(await ask(looking)).toMatchObject({ outcome: { attempts: 1 } })
  })

  it('[M2] never makes the hub ask a node that its policy excludes', async () => {
    const us = createLoader(new Embedder())
    await join('US', us)
    await expect(ask()).rejects.toMatchObject({ code: 'residency_unsatisfiable' })
    await hub.join({ country: 'DE' })
    await expect(ask()).rejects.toMatchObject({ code: 'no_capacity' })
    expect(us.asked).toEqual([])
  })

  it('[M3] shares one load with all other jobs', async () => {
    const gate = Promise.withResolvers<void>()
    const nodes = [1, 2].map(() => createLoader(new Embedder(() => gate.promise)))
    for (const node of nodes) await join('DE', node, 8)
    const jobs = await Promise.all(Array.from({ length: 8 }, () => request()))
    const answers = Promise.all(jobs.map(ask))
    await until('a node is asked', () => nodes.some(({ asked }) => asked.length > 0))
    gate.resolve()
    await answers
    expect(nodes.flatMap(({ asked }) => asked).length).toBe(1)
  })

  it('[M4] goes to the next node when one refuses the load, and does not ask that one again', async () => {
    const full = createLoader(new Embedder(), () =>
      Promise.reject(new AppError('file_corrupt', 'model.onnx is corrupt.')),
    )
    await join('DE', full)
    await expect(ask()).rejects.toMatchObject({ code: 'no_capacity' })
    const other = createLoader(new Embedder())
    const { nodeId } = await join('FR', other)
    expect((await ask()).outcome.nodeId).toBe(nodeId)
    expect([full.asked.length, other.asked.length]).toEqual([1, 1])
  })

  it('[M4] waits for a node that has no room because it is busy', async () => {
    let tries = 0
    const busy = createLoader(new Embedder(), async () => {
      tries += 1
      if (tries === 1) throw new AppError('no_capacity', 'The model in use leaves no room.')
      await busy.engine.load()
    })
    await join('DE', busy)
    const { outcome } = await ask()
    expect(outcome.timing.loadMs).toBeGreaterThanOrEqual(MODEL_BUSY_BACKOFF_MS)
    expect(busy.asked.length).toBe(2)
  })

  it('[M4] skips a node that claims to have loaded the model and has not', async () => {
    const liar = createLoader(new Embedder(), () => Promise.resolve())
    await join('DE', liar)
    await expect(ask()).rejects.toMatchObject({ code: 'no_capacity' })
    expect(liar.asked.length).toBe(1)
  })

  it('[M4] goes to the next node when one dies while it loads', async () => {
    const hanging = createLoader(new Embedder(), () => new Promise(() => {}))
    const first = await join('DE', hanging)
    const answer = ask()
    await until('the node is asked', () => hanging.asked.length === 1)
    const { nodeId } = await join('FR', createLoader(new Embedder()))
    await first.disconnect()
    expect((await answer).outcome.nodeId).toBe(nodeId)
  })

  it('[M5] ends with its own time and says when to retry, while the load continues', async () => {
    const gate = Promise.withResolvers<void>()
    const slow = createLoader(new Embedder(() => gate.promise))
    await join('DE', slow)
    await expect(ask(await request(EU, 150))).rejects.toMatchObject({
      code: 'no_capacity',
      detail: expect.stringContaining('being loaded'),
      meta: { retryAfterSeconds: expect.any(Number) as number },
    })
    gate.resolve()
    await until('the model is loaded', () => slow.engine.models.length === 1)
    await ask()
    expect(slow.asked.length).toBe(1)
  })

  it('[M5] ends at once when its caller leaves', async () => {
    const hanging = createLoader(new Embedder(), () => new Promise(() => {}))
    await join('DE', hanging)
    const caller = new AbortController()
    const answer = hub.dispatcher.dispatch(await request(), PAYLOAD, caller.signal)
    await until('the node is asked', () => hanging.asked.length === 1)
    caller.abort()
    await expect(answer).rejects.toMatchObject({ code: 'cancelled' })
  })

  it('[M6] has a second node load it while the first is fully busy', async () => {
    const busy = createLoader(new Embedder())
    await busy.engine.load()
    const gate = Promise.withResolvers<void>()
    await hub.join({
      country: 'DE',
      engine: busy.engine,
      shelf: busy,
      maxJobs: 1,
      run: async (_offer, _payload, next) => {
        await gate.promise
        return next()
      },
    })
    const spare = createLoader(new Embedder())
    await join('FR', spare)
    const first = ask()
    const second = ask()
    await until('the spare node has it', () => spare.engine.models.length === 1)
    expect(spare.asked.length).toBe(1)
    gate.resolve()
    await Promise.all([first, second])
  })
})
