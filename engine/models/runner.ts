/** Opens a model's sessions and creates the runner for its task. */
import type { Provider } from '#shared/job/job.ts'
import type { ModelManifest } from '#shared/job/model.ts'
import { AppError } from '#shared/base/errors.ts'
import type { TensorValue } from '#shared/job/tensor.ts'
import { createImageDecoder } from '../media/image.ts'
import { createDetectionRunner } from './detection.ts'
import { createEmbeddingRunner } from './embedding.ts'
import { createOcrLineRunner } from './ocr-line.ts'
import { createOcrRunner } from './ocr.ts'
import { createVoiceActivityRunner } from './voice-activity.ts'
import type {
  RuntimeSession,
  SessionFactory,
  SessionOptions,
} from '#engine/runtime/runtime-session.ts'
import type { Generate } from './text/generate.ts'
import { createTextRunner } from './text-runner.ts'

export interface ModelRunner {
  /** Runs inputs that passed `checkTensors`. The signal is checked between the session's runs. */
  run(inputs: readonly TensorValue[], signal: AbortSignal): Promise<TensorValue[]>
  /** Set for `chat`: such a model takes text jobs, and uses `run` for its golden run only. */
  readonly generate?: Generate
}

export type ModelFiles = ReadonlyMap<string, Uint8Array>

export interface RunnerOptions {
  readonly manifest: Pick<ModelManifest, 'id' | 'task' | 'contextTokens'>
  readonly files: ModelFiles
  readonly sessions: SessionFactory
  readonly provider: Provider
  /** Monotonic clock in ms. @default `performance.now` */
  readonly now?: () => number
}

export type OpenSession = (
  file: string,
  options?: Omit<SessionOptions, 'external'>,
) => Promise<RuntimeSession>

/** Opens what the task needs, and releases it when that fails. */
export async function createModelRunner(options: RunnerOptions) {
  const { files, sessions, provider } = options
  const opened: RuntimeSession[] = []
  const release = async () => {
    for (const session of opened.splice(0)) await session.release()
  }
  const open: OpenSession = async (file, sessionOptions = {}) => {
    const bytes = modelFile(files, file)
    const session = await sessions.create(bytes, provider, { ...sessionOptions, external: files })
    opened.push(session)
    return session
  }
  try {
    return { runner: await runnerFor(options, open), release }
  } catch (error) {
    await release()
    throw error
  }
}

async function runnerFor(options: RunnerOptions, open: OpenSession): Promise<ModelRunner> {
  const { manifest, files, provider, now = () => performance.now() } = options
  const text = (name: string) => new TextDecoder().decode(modelFile(files, name))
  const imageDecoder = () => createImageDecoder(modelFile(files, 'jpeg.wasm'))
  switch (manifest.task) {
    case 'embedding':
      return createEmbeddingRunner({
        session: await open('model.onnx'),
        contextTokens: manifest.contextTokens,
        now,
        tokenizer: text('tokenizer.json'),
        tokenizerConfig: text('tokenizer_config.json'),
      })
    case 'ocr-line':
      return createOcrLineRunner(await open('model.onnx'), text('keys.txt'))
    case 'chat':
      return createTextRunner({ manifest, files, provider, open, now })
    case 'ocr':
      return createOcrRunner({
        detector: await open('detect.onnx'),
        recogniser: await open('model.onnx'),
        keys: text('keys.txt'),
        decodeImage: await imageDecoder(),
      })
    case 'detection':
      return createDetectionRunner({
        session: await open('model.onnx'),
        labels: text('labels.txt'),
        decodeImage: await imageDecoder(),
      })
    case 'voice-activity':
      return createVoiceActivityRunner(await open('model.onnx'))
  }
}

export function modelFile(files: ModelFiles, name: string): Uint8Array {
  const file = files.get(name)
  if (file === undefined) throw new AppError('internal', `The manifest names no file ${name}.`)
  return file
}
