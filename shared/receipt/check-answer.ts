/** Checks an answer against its work: the node does so before it signs, the hub before anybody sees the answer. */
import { faultsError } from '#shared/base/errors.ts'
import { totalBytes, type KernelWork, type TensorHeader, type Work } from '#shared/job/job.ts'
import { checkLibraryOutputs } from '#shared/kernels/kernels.ts'
import type { ModelManifest } from '#shared/job/model.ts'
import { checkOutputs, type Tensors } from '#shared/job/tensor.ts'
import { TEXT_OUTPUT } from '#shared/job/text.ts'

/**
 * Checks names, types, shapes and bytes of the outputs against what this work yields.
 * @param manifest manifest of the model that the work names
 * @throws {AppError} invalid_request
 */
export function checkAnswer(
  work: Work,
  answer: Tensors,
  manifest: ModelManifest | undefined,
): void {
  switch (work.kind) {
    case 'library':
      return checkLibraryOutputs(work, answer.headers, answer.payload)
    case 'kernel':
      return checkExactly(returned(work), answer)
    case 'text':
      return checkExactly([byteOutput(TEXT_OUTPUT, answer.payload.length)], answer)
    case 'model':
      if (manifest === undefined)
        throw faultsError([{ pointer: '/model', detail: 'nobody knows it' }])
      return checkOutputs(manifest, work.inputs, answer)
  }
}

function returned({ buffers }: KernelWork): TensorHeader[] {
  return buffers
    .filter((buffer) => buffer.return)
    .map(({ binding, sizeBytes }) => byteOutput(`binding:${binding}`, sizeBytes))
}

function byteOutput(name: string, sizeBytes: number): TensorHeader {
  return { name, datatype: 'UINT8', shape: [sizeBytes], sizeBytes }
}

function checkExactly(expected: readonly TensorHeader[], { headers, payload }: Tensors): void {
  const write = (tensors: readonly TensorHeader[]) =>
    tensors.map((t) => `${t.name} ${t.datatype} [${t.shape.join(',')}] of ${t.sizeBytes} bytes`)
  const [wanted, given] = [write(expected).join(', '), write(headers).join(', ')]
  if (wanted === given && totalBytes(expected) === payload.length) return
  const detail = `are ${given}, with ${payload.length} bytes; expected ${wanted}`
  throw faultsError([{ pointer: '/outputs', detail }])
}
