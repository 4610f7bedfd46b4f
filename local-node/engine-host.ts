/** The engine of a local node: one process for models, one for kernels, each replaced when it dies or has to be killed. */
import { setTimeout } from 'node:timers/promises'
import type { Engine, RunOptions } from '#engine/engine.ts'
import { AppError, errorCode } from '#shared/errors.ts'
import type { Adapter, Answer, Work } from '#shared/job.ts'
import type { Log } from '#shared/log.ts'
import { MANIFESTS } from '#shared/manifests.ts'
import { softwareEnvironment } from './device.ts'
import type { ChildSetup } from './engine-messages.ts'
import { startEngineProcess, type EngineProcess } from './engine-process.ts'

/** Starts of a new engine process before its kind of work is given up. */
const RESTARTS = 5
const RESTART_PAUSE_MS = 1_000

export interface NodeEngineOptions {
  /** `webgpu` forces it, `cpu` forgoes it. */
  readonly device: 'auto' | 'webgpu' | 'cpu'
  readonly kernels: 'any' | 'listed' | 'none'
  /** Ids of the models to load. @default all */
  readonly models?: readonly string[]
  readonly log: Log
}

export async function createNodeEngine(options: NodeEngineOptions): Promise<Engine> {
  const { device, log } = options
  const models = options.models ?? MANIFESTS.map(({ id }) => id)
  const setup = { device, kernels: options.kernels, models: [], adapter: null }
  const { env, first } =
    device === 'cpu'
      ? { env: process.env, first: undefined }
      : await findAdapter({ ...setup, role: 'kernels' }, log)
  const adapter = first?.ready.adapter ?? null
  if (adapter === null)
    log.warn('webgpu.missing', {
      detail: 'No WebGPU adapter: models run on the CPU, kernels are refused.',
    })
  if (adapter === null && device === 'webgpu')
    throw new AppError('no_capacity', 'There is no WebGPU adapter on this machine.')
  const kernels =
    first === undefined || adapter === null
      ? undefined
      : keepAlive(first, () => startEngineProcess({ ...setup, role: 'kernels' }, env, log), log)
  const modelSetup: ChildSetup = { ...setup, role: 'models', kernels: 'none', models, adapter }
  const modelProcess = await startEngineProcess(modelSetup, env, log)
  const modelEngine = keepAlive(modelProcess, () => startEngineProcess(modelSetup, env, log), log)
  return {
    adapter: adapter ?? ({ name: 'cpu', isSoftware: true } satisfies Adapter),
    models: modelProcess.ready.models,
    kernels: kernels === undefined ? [] : (first?.ready.kernels ?? []),
    async run(work, payload, runOptions) {
      if ('model' in work) return modelEngine.run(work, payload, runOptions)
      if (kernels === undefined)
        throw new AppError('forbidden', 'This node has no WebGPU adapter and runs no kernels.')
      return kernels.run(work, payload, runOptions)
    },
    async close() {
      await Promise.all([kernels?.close(), modelEngine.close()])
    },
  }
}

/** The kernel process on the machine's own driver or, without one, on a software adapter. */
async function findAdapter(
  setup: ChildSetup,
  log: Log,
): Promise<{ env: NodeJS.ProcessEnv; first: EngineProcess | undefined }> {
  for (const env of [process.env, softwareEnvironment(process.env)]) {
    if (env === undefined) continue
    // A missing Vulkan loader can end the process; that is an answer too.
    const first = await startEngineProcess(setup, env, log).catch(() => undefined)
    if (first?.ready.adapter != null) return { env, first }
    first?.kill()
  }
  return { env: process.env, first: undefined }
}

interface KeptAlive {
  run(work: Work, payload: Uint8Array, options: RunOptions): Promise<Answer>
  close(): Promise<void>
}

/** Replaces a process that has ended, and ends one whose job ran over its time: its device hangs. */
function keepAlive(
  first: EngineProcess,
  restart: () => Promise<EngineProcess>,
  log: Log,
): KeptAlive {
  let current = Promise.resolve(first)
  let isClosed = false
  const watch = (engine: EngineProcess) =>
    void engine.ended.then(() => {
      if (isClosed) return
      log.warn('engine.restarted', { detail: 'An engine process ended; a new one takes over.' })
      current = restartWithin(restart, log)
      current.then(watch, (error: unknown) =>
        log.error('engine.restart-failed', { cause: String(error) }),
      )
    })
  watch(first)
  return {
    async run(work, payload, options) {
      const engine = await current
      try {
        return await engine.run(work, payload, options)
      } catch (error) {
        // Whoever comes next must not reach a process whose device is gone.
        if (errorCode(error) === 'node_timeout' || errorCode(error) === 'node_lost') {
          engine.kill()
          await engine.ended
        }
        throw error
      }
    },
    async close() {
      isClosed = true
      const engine = await current.catch(() => undefined)
      engine?.kill()
      await engine?.ended
    },
  }
}

/** A driver that has just lost its process may refuse the next one for a moment. @throws {AppError} of the last try */
async function restartWithin(
  restart: () => Promise<EngineProcess>,
  log: Log,
): Promise<EngineProcess> {
  for (let attempt = 1; attempt < RESTARTS; attempt++) {
    try {
      return await restart()
    } catch (error) {
      log.warn('engine.restart-refused', { attempt, cause: String(error) })
      await setTimeout(RESTART_PAUSE_MS * attempt)
    }
  }
  return restart()
}
