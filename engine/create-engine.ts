/** Composes an engine from a device, session factories and manifests, for a tab and for Node alike. */
import { concatBytes } from 'viem'
import { checkAnswer } from '#shared/receipt/check-answer.ts'
import { AppError, errorCode } from '#shared/base/errors.ts'
import {
  sliceTensors,
  type Adapter,
  type Answer,
  type ModelWork,
  type TextWork,
  type Work,
} from '#shared/job/job.ts'
import { LIMITS } from '#shared/base/limits.ts'
import { manifestDigest, type ModelManifest } from '#shared/job/model.ts'
import { checkTensors } from '#shared/job/tensor.ts'
import type { LoadedModel } from './admit.ts'
import { cancelled } from '#shared/base/deadline.ts'
import type { Computed, LiveEngine, RunOptions } from './engine.ts'
import { openKernels, type KernelWorkOptions } from './kernel-work.ts'
import { createModelSet, type ModelSet, type ModelSetOptions } from './model-set.ts'
import type { Pace } from '#engine/pace/pace-device.ts'
import { createJobQueue } from './queue.ts'
import { runTextWork } from './text-work.ts'

export type { EngineProgress } from './model-set.ts'

export interface EngineOptions extends ModelSetOptions, KernelWorkOptions {
  /** Loaded before the engine is ready. A model that does not run here is left out; others may be loaded later. */
  readonly manifests: readonly ModelManifest[]
  /** WGSL features that the device offers to kernels. @default none */
  readonly features?: readonly string[]
  /** Holds back the models' submissions, where the runtime permits it. @default no pacing */
  readonly pace?: Pace
  /** Called when a model no longer gives its known answer: the runtime is then broken for every model. */
  readonly onRuntimeLost?: (reason: string) => void
}

export interface DeviceEngine extends LiveEngine {
  /** Resolves when nothing runs on the device any more, cancelled jobs included. */
  idle(): Promise<void>
}

const CPU_ADAPTER: Adapter = { name: 'cpu', isSoftware: true }

export async function createEngine(options: EngineOptions): Promise<DeviceEngine> {
  const queue = createJobQueue(LIMITS.nodeJobsInFlight)
  const loaded = createModelSet(options, queue)
  for (const manifest of options.manifests)
    await loaded.load(manifest, new AbortController().signal).catch(() => {})
  const kernels = openKernels(options)
  return {
    adapter: options.device === undefined ? CPU_ADAPTER : options.adapter,
    get models() {
      return loaded.admitted()
    },
    get kernels() {
      return kernels.kernels()
    },
    features: options.features ?? [],
    runs: (manifest) => loaded.runs(manifest),
    load: (manifest, signal) => loaded.load(manifest, signal),
    unload: (id) => loaded.unload(id),
    async run(work, payload, { signal, emit }) {
      const job = () => {
        if (work.kind === 'model') return runModelWork({ options, loaded, work, payload, signal })
        if (work.kind === 'text') return runText({ options, loaded, work, payload, signal, emit })
        return kernels.run(work, payload, signal).then((computed) => checked(work, computed))
      }
      const { answer, outputs } = await queue.run(job, signal)
      // The device is free for the next job while a slow reader takes this answer.
      for (const bytes of outputs) await emit(bytes)
      return answer
    },
    idle: () => queue.idle(),
    async close() {
      await loaded.close()
      kernels.close()
    },
  }
}

/** A malformed answer is a fault of the device or the model. It does not leave the node and gets no receipt. */
function checked(work: Work, computed: Computed, manifest?: ModelManifest): Computed {
  const { answer, outputs } = computed
  const payload = outputs.length === 1 ? (outputs[0] ?? new Uint8Array()) : concatBytes(outputs)
  try {
    checkAnswer(work, { headers: answer.outputs, payload }, manifest)
    return computed
  } catch (cause) {
    throw new AppError('internal', 'The device gave a malformed answer to this work.', {
      cause,
    })
  }
}

interface ModelJob {
  readonly options: EngineOptions
  readonly loaded: ModelSet
  readonly work: ModelWork
  readonly payload: Uint8Array
  readonly signal: AbortSignal
}

async function runModelWork(job: ModelJob): Promise<Computed> {
  const { options, loaded, work, payload, signal } = job
  const model = findModel(loaded, work)
  if (model.runner.generate !== undefined)
    throw new AppError('invalid_request', `${work.model} writes text; ask it for text.`)
  checkTensors(model.manifest, work.inputs, payload)
  const slices = sliceTensors(work.inputs, payload)
  const inputs = work.inputs.map(({ shape }, i) => ({
    shape,
    bytes: slices[i] ?? new Uint8Array(),
  }))
  const startedMs = options.now()
  const outputs = await blaming(model, options, () =>
    paced(options, signal, () => model.runner.run(inputs, signal)),
  )
  const computeMs = options.now() - startedMs
  const answer: Answer = {
    outputs: model.manifest.outputs.map(({ name, datatype }, i) => ({
      name,
      datatype,
      shape: [...(outputs[i]?.shape ?? [])],
      sizeBytes: outputs[i]?.bytes.length ?? 0,
    })),
    ...ranOn(model, options),
    computeMs,
  }
  return checked(work, { answer, outputs: outputs.map(({ bytes }) => bytes) }, model.manifest)
}

/** The text is sent while the device works, so no outputs are left. */
async function runText(
  job: Omit<ModelJob, 'work'> & { readonly work: TextWork; readonly emit: RunOptions['emit'] },
): Promise<Computed> {
  const { options, loaded, work, payload, signal, emit } = job
  const model = findModel(loaded, work)
  const { generate } = model.runner
  const written = await blaming(model, options, () =>
    paced(options, signal, () =>
      runTextWork({ work, payload, signal, emit, generate, now: options.now }),
    ),
  )
  return { answer: { ...written, ...ranOn(model, options) }, outputs: [] }
}

/** @throws {AppError} cancelled when the signal is aborted, whatever the run returned: its submissions were dropped */
async function paced<T>(
  { pace }: EngineOptions,
  signal: AbortSignal,
  run: () => Promise<T>,
): Promise<T> {
  if (pace === undefined) return run()
  const outcome = await pace.during(signal, () => Promise.allSettled([run()]))
  if (signal.aborted) throw cancelled()
  const [ran] = outcome
  if (ran.status === 'rejected') throw ran.reason as Error
  return ran.value
}

/**
 * Repeats the model's known answer after an error of the runtime, to tell a bad input from a broken runtime.
 * @throws {AppError} node_lost when the known answer is no longer right, else what `run` threw
 */
async function blaming<T>(
  model: LoadedModel,
  { log, onRuntimeLost }: EngineOptions,
  run: () => Promise<T>,
): Promise<T> {
  try {
    return await run()
  } catch (error) {
    if (errorCode(error) !== undefined) throw error
    const cause = String(error)
    log.warn('model.failed', { model: model.manifest.id, cause })
    await model.recheck().catch(() => {
      const detail = `${model.manifest.id} no longer gives its known answer: ${cause}`.slice(0, 512)
      onRuntimeLost?.(detail)
      throw new AppError('node_lost', detail, { cause: error })
    })
    throw error
  }
}

function findModel(loaded: ModelSet, work: ModelWork | TextWork): LoadedModel {
  const model = loaded.get(work.model)
  if (model !== undefined && manifestDigest(model.manifest) === work.digest) return model
  throw new AppError('model_not_found', `This node has not admitted ${work.model} in that version.`)
}

function ranOn({ admitted: { provider } }: LoadedModel, { adapter }: EngineOptions) {
  return { provider, adapter: provider === 'webgpu' ? adapter : CPU_ADAPTER }
}
