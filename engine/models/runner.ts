/** A loaded model: manifest tensors in, manifest tensors out. */
import type { ModelManifest } from '#shared/model.ts'
import { AppError } from '#shared/errors.ts'
import type { TensorValue } from '#shared/tensor.ts'
import { createEmbeddingRunner } from './embedding.ts'
import { createOcrLineRunner } from './ocr-line.ts'
import type { Session } from './session.ts'

export interface ModelRunner {
  /** Runs inputs that `checkTensors` has passed; the signal is looked at between the session's runs. */
  run(inputs: readonly TensorValue[], signal: AbortSignal): Promise<TensorValue[]>
}

/** Files of a model by the names that its manifest gives them. */
export type ModelFiles = ReadonlyMap<string, Uint8Array>

/** The one file that is the ONNX graph. */
export const GRAPH_FILE = 'model.onnx'

export function createModelRunner(
  manifest: ModelManifest,
  session: Session,
  files: ModelFiles,
): ModelRunner {
  const text = (name: string) => new TextDecoder().decode(modelFile(files, name))
  switch (manifest.task) {
    case 'embedding':
      return createEmbeddingRunner(session, {
        tokenizer: text('tokenizer.json'),
        tokenizerConfig: text('tokenizer_config.json'),
      })
    case 'ocr-line':
      return createOcrLineRunner(session, text('keys.txt'))
    default:
      throw new AppError('internal', `This build has no runner for ${manifest.task}.`)
  }
}

export function modelFile(files: ModelFiles, name: string): Uint8Array {
  const file = files.get(name)
  if (file === undefined) throw new AppError('internal', `The manifest names no file ${name}.`)
  return file
}
