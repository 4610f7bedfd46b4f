/** Puts an engine together from a device, session factories and manifests; the same in a tab and in Node. */
import { sha256, stringToBytes } from 'viem'
import { AppError, toAppError } from '#shared/errors.ts'
import {
  sliceTensors,
  type Adapter,
  type Answer,
  type KernelWork,
  type ModelWork,
  type Provider,
} from '#shared/job.ts'
import { LIMITS } from '#shared/limits.ts'
import type { Log } from '#shared/log.ts'
import { manifestDigest, type ModelFile, type ModelManifest } from '#shared/model.ts'
import { checkTensors } from '#shared/tensor.ts'
import { admitModel, type LoadedModel } from './admit.ts'
import { beforeDeadline } from './deadline.ts'
import type { Engine } from './engine.ts'
import { LISTED_KERNELS } from './kernels/allow-list.ts'
import { createKernelRunner, type KernelRunner, type KernelTimes } from './kernels/kernel-runner.ts'
import type { SessionFactory } from './models/session.ts'
import { createJobQueue } from './queue.ts'

/** What loading is doing, for whoever watches. */
export interface EngineProgress {
  readonly model: string
  readonly step: 'fetching' | 'checking' | 'admitted' | 'refused'
  readonly detail: string
}

export interface EngineOptions {
  /** Runs kernels; undefined on a machine without WebGPU. */
  readonly device: GPUDevice | undefined
  /** What the device is. */
  readonly adapter: Adapter
  readonly sessions: SessionFactory
  /** In order of preference: a model is taken on the first provider whose golden run is right. */
  readonly providers: readonly Provider[] | ((manifest: ModelManifest) => readonly Provider[])
  readonly manifests: readonly ModelManifest[]
  readonly loadFile: (file: ModelFile, signal: AbortSignal) => Promise<Uint8Array>
  readonly kernels: 'any' | 'listed' | 'none'
  readonly log: Log
  /** Monotonic clock in ms. */
  readonly now: () => number
  readonly onProgress?: (progress: EngineProgress) => void
  /** @default the limits of submitted WGSL */
  readonly kernelTimes?: KernelTimes
  /** Called once, when the device hangs or was lost: from then on kernels fail with node_lost. */
  readonly onDeviceLost?: (reason: string) => void
}

/** Adapter of a provider that no GPU stands behind. */
const CPU_ADAPTER: Adapter = { name: 'cpu', isSoftware: true }

export async function createEngine(options: EngineOptions): Promise<Engine> {
  const loaded = new Map<string, LoadedModel>()
  for (const manifest of options.manifests) {
    const model = await loadModel(options, manifest)
    if (model !== undefined) loaded.set(manifest.id, model)
  }
  const queue = createJobQueue(LIMITS.nodeJobsInFlight)
  const kernels = kernelsOf(options)
  const runner = openRunner(options)
  return {
    adapter: options.device === undefined ? CPU_ADAPTER : options.adapter,
    models: [...loaded.values()].map(({ admitted }) => admitted),
    kernels,
    async run(work, payload, { signal, emit }) {
      const job = () => {
        if (work.kind === 'model') return runModelWork({ options, loaded, work, payload, signal })
        if (work.kind === 'kernel')
          return runKernelWork({ options, kernels, runner, work, payload })
        throw new AppError('forbidden', `This node runs no ${work.kind} work.`)
      }
      const { answer, outputs } = await queue.run(job, signal)
      // The device is free for the next job while a slow reader takes this one's answer.
      for (const bytes of outputs) await emit(bytes)
      return answer
    },
    async close() {
      for (const model of loaded.values()) await model.release()
      loaded.clear()
      runner?.close()
    },
  }
}

interface Computed {
  readonly answer: Answer
  readonly outputs: readonly Uint8Array[]
}

function openRunner(options: EngineOptions): KernelRunner | undefined {
  const { device, log, onDeviceLost, kernelTimes = LIMITS } = options
  if (device === undefined) return undefined
  return createKernelRunner({
    device,
    times: kernelTimes,
    onLost(reason) {
      log.warn('device.lost', { reason })
      onDeviceLost?.(reason)
    },
  })
}

async function loadModel(
  options: EngineOptions,
  manifest: ModelManifest,
): Promise<LoadedModel | undefined> {
  const { providers, sessions, now, log, onProgress } = options
  const report = (step: EngineProgress['step'], detail: string) =>
    onProgress?.({ model: manifest.id, step, detail })
  try {
    report('fetching', manifest.title)
    const files = await loadFiles(options, manifest)
    for (const provider of typeof providers === 'function' ? providers(manifest) : providers) {
      report('checking', provider)
      const admission = admitModel({ manifest, files, provider, sessions, now })
      try {
        const model = await beforeDeadline(admission, {
          timeoutMs: LIMITS.modelLoadMs,
          what: `${manifest.id} on ${provider}`,
        })
        log.info('model.admitted', {
          model: manifest.id,
          provider,
          serviceMs: model.admitted.serviceMs,
        })
        report('admitted', provider)
        return model
      } catch (error) {
        log.warn('model.refused', { model: manifest.id, provider, cause: describe(error) })
        report('refused', `${provider}: ${describe(error)}`)
      }
    }
  } catch (error) {
    log.warn('model.not-loaded', { model: manifest.id, cause: describe(error) })
    report('refused', describe(error))
  }
  return undefined
}

async function loadFiles(
  { loadFile }: EngineOptions,
  manifest: ModelManifest,
): Promise<Map<string, Uint8Array>> {
  const files = new Map<string, Uint8Array>()
  for (const file of manifest.files) {
    const bytes = await loadFile(file, AbortSignal.timeout(LIMITS.modelLoadMs))
    if (bytes.length !== file.sizeBytes || sha256(bytes) !== file.sha256) {
      throw new AppError(
        'internal',
        `${file.name} of ${manifest.id} is not the file that its manifest names.`,
      )
    }
    files.set(file.name, bytes)
  }
  return files
}

function kernelsOf({ device, kernels }: EngineOptions): Engine['kernels'] {
  if (device === undefined || kernels === 'none') return []
  return kernels === 'any' ? 'any' : LISTED_KERNELS
}

interface ModelJob {
  readonly options: EngineOptions
  readonly loaded: ReadonlyMap<string, LoadedModel>
  readonly work: ModelWork
  readonly payload: Uint8Array
  readonly signal: AbortSignal
}

async function runModelWork(job: ModelJob): Promise<Computed> {
  const { options, loaded, work, payload, signal } = job
  const model = loaded.get(work.model)
  if (model === undefined || manifestDigest(model.manifest) !== work.digest) {
    throw new AppError(
      'model_not_found',
      `This node has not admitted ${work.model} in that version.`,
    )
  }
  checkTensors(model.manifest, work.inputs, payload)
  const slices = sliceTensors(work.inputs, payload)
  const inputs = work.inputs.map(({ shape }, i) => ({
    shape,
    bytes: slices[i] ?? new Uint8Array(),
  }))
  const startedMs = options.now()
  const outputs = await model.runner.run(inputs, signal)
  const computeMs = options.now() - startedMs
  const { provider } = model.admitted
  const answer: Answer = {
    outputs: model.manifest.outputs.map(({ name, datatype }, i) => ({
      name,
      datatype,
      shape: [...(outputs[i]?.shape ?? [])],
      sizeBytes: outputs[i]?.bytes.length ?? 0,
    })),
    provider,
    adapter: provider === 'webgpu' ? options.adapter : CPU_ADAPTER,
    computeMs,
  }
  return { answer, outputs: outputs.map(({ bytes }) => bytes) }
}

interface KernelJob {
  readonly options: EngineOptions
  readonly kernels: Engine['kernels']
  readonly runner: KernelRunner | undefined
  readonly work: KernelWork
  readonly payload: Uint8Array
}

async function runKernelWork(job: KernelJob): Promise<Computed> {
  const { options, kernels, runner, work, payload } = job
  // The text is what runs, so the text is what is looked up, whatever digest came with it.
  const isListed = kernels === 'any' || kernels.includes(sha256(stringToBytes(work.wgsl)))
  if (runner === undefined || !isListed) {
    throw new AppError(
      'forbidden',
      'This node runs only kernels on its own list, and this one is not on it.',
      { meta: { rule: 'kernels.listed' } },
    )
  }
  const startedMs = options.now()
  const outputs = await runner.run(work, payload)
  const computeMs = options.now() - startedMs
  const { adapter } = options
  return {
    answer: {
      outputs: outputs.map(({ header }) => header),
      provider: 'webgpu',
      adapter,
      computeMs,
    },
    outputs: outputs.map(({ bytes }) => bytes),
  }
}

function describe(error: unknown): string {
  const { code, detail, cause } = toAppError(error)
  return code === 'internal' && cause instanceof Error ? cause.message : detail
}
