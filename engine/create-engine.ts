/** Puts an engine together from a device, session factories and manifests; the same in a tab and in Node. */
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
import type { LiveEngine, RunOptions } from './engine.ts'
import { openKernels } from './kernel-work.ts'
import type { ProcessorClock } from './kernels/calibrate.ts'
import type { KernelTimes } from './kernels/kernel-runner.ts'
import { createModelSet, type ModelSet, type ModelSetOptions } from './model-set.ts'
import type { Pace } from '#engine/pace/pace-device.ts'
import { createJobQueue } from './queue.ts'
import { runTextWork } from './text-work.ts'

export type { EngineProgress } from './model-set.ts'

export interface EngineOptions extends ModelSetOptions {
  /** Runs kernels; undefined on a machine without WebGPU. */
  readonly device: GPUDevice | undefined
  /** What the device is. */
  readonly adapter: Adapter
  /** Loaded before the engine is ready; one that does not run here is left out. Others may be loaded later. */
  readonly manifests: readonly ModelManifest[]
  readonly kernels: 'any' | 'listed' | 'none'
  /** What the device has for them. @default nothing */
  readonly features?: readonly string[]
  /** Time of the processor that plays the GPU, where that is this process's own work. */
  readonly processor?: ProcessorClock
  /** @default the limits of submitted WGSL */
  readonly kernelTimes?: KernelTimes
  /** Holds the models' submissions back, where the runtime lets it. @default they all go at once */
  readonly pace?: Pace
  /** Called when the device hangs or was lost: kernels then fail with node_lost. */
  readonly onDeviceLost?: (reason: string) => void
  /** Called when a model no longer gives its known answer: the runtime is broken, and every model with it. */
  readonly onRuntimeLost?: (reason: string) => void
}

/** An engine on a device of its own. */
export interface DeviceEngine extends LiveEngine {
  /** Resolves when nothing that was begun still runs on the device, cancelled jobs among it. */
  idle(): Promise<void>
}

/** Adapter of a provider that no GPU stands behind. */
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
      // The device is free for the next job while a slow reader takes this one's answer.
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

interface Computed {
  readonly answer: Answer
  readonly outputs: readonly Uint8Array[]
}

/** What is wrong here is the device's fault or the model's: nothing of it leaves, and no receipt is signed for it. */
function checked(work: Work, computed: Computed, manifest?: ModelManifest): Computed {
  const { answer, outputs } = computed
  const payload = outputs.length === 1 ? (outputs[0] ?? new Uint8Array()) : concatBytes(outputs)
  try {
    checkAnswer(work, { headers: answer.outputs, payload }, manifest)
    return computed
  } catch (cause) {
    throw new AppError('internal', 'The device gave an answer that is none to this work.', {
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

/** Text goes out while the device works, so nothing of it is left to send. */
async function runText(
  job: Omit<ModelJob, 'work'> & { readonly work: TextWork; readonly emit: RunOptions['emit'] },
): Promise<Computed> {
  const { options, loaded, work } = job
  const model = findModel(loaded, work)
  const { generate } = model.runner
  const written = await blaming(model, options, () =>
    paced(options, job.signal, () => runTextWork({ ...job, generate, now: options.now })),
  )
  return { answer: { ...written, ...ranOn(model, options) }, outputs: [] }
}

/** @throws {AppError} cancelled, whatever came of a run whose submissions were dropped */
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
 * What a runtime throws does not say whether the input or the runtime is at fault; the model's known answer does.
 * @throws {AppError} node_lost when that is no longer right, else what `run` throws
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

/** @throws {AppError} model_not_found */
function findModel(loaded: ModelSet, work: ModelWork | TextWork): LoadedModel {
  const model = loaded.get(work.model)
  if (model !== undefined && manifestDigest(model.manifest) === work.digest) return model
  throw new AppError('model_not_found', `This node has not admitted ${work.model} in that version.`)
}

function ranOn({ admitted: { provider } }: LoadedModel, { adapter }: EngineOptions) {
  return { provider, adapter: provider === 'webgpu' ? adapter : CPU_ADAPTER }
}
