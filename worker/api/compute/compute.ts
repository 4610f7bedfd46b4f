/** Converts a WGSL kernel with its buffers to and from kernel work. */
import { concatBytes } from 'viem'
import { z } from 'zod'
import type { FieldFault } from '#shared/base/errors.ts'
import { Bytes32 } from '#shared/base/ids.ts'
import {
  BufferAccess,
  KernelFeature,
  sliceTensors,
  WgslIdentifier,
  type KernelBuffer,
  type KernelWork,
  type TensorHeader,
} from '#shared/job/job.ts'
import { LIMITS } from '#shared/base/limits.ts'
import { digestBytes } from '#shared/receipt/receipt.ts'
import { decodeBase64, encodeBase64 } from '#shared/base/base64.ts'
import { invalidRequest, tooLarge } from '#worker/body/faults.ts'
import { ResidencyFields } from '#worker/body/residency.ts'

export const Binding = z.int().min(0).max(15)
const Count = z.int().min(1).max(65_535)

export const FilledBuffer = z.strictObject({
  binding: Binding,
  access: BufferAccess,
  /** Base64 of its bytes, whose number is a multiple of four. */
  data: z.string(),
  /** @default false */
  return: z.boolean().default(false),
})

/** A buffer that starts with zeroes. */
export const EmptyBuffer = z.strictObject({
  binding: Binding,
  access: BufferAccess,
  sizeBytes: z.int().min(4),
  return: z.boolean().default(false),
})

export const ComputeRequest = z.strictObject({
  kernel: z.strictObject({
    wgsl: z.string().min(1),
    entryPoint: WgslIdentifier,
    workgroups: z.tuple([Count, Count, Count]),
    /** WGSL features that the kernel needs; only nodes with them are asked. */
    requires: z.array(KernelFeature).max(LIMITS.kernelFeatures).optional(),
  }),
  buffers: z
    .array(z.union([FilledBuffer, EmptyBuffer]))
    .min(1)
    .max(LIMITS.kernelBuffers),
  ...ResidencyFields,
})
export type ComputeRequest = z.infer<typeof ComputeRequest>

export const ComputeResponse = z.strictObject({
  id: z.string(),
  outputs: z.array(z.strictObject({ binding: z.int(), data: z.base64() })),
  /** Id of the receipt: `GET /v1/receipts/{id}`. */
  receipt: Bytes32,
})
export type ComputeResponse = z.infer<typeof ComputeResponse>

/** @throws {AppError} invalid_request with a pointer to each fault; too_large */
export async function decodeCompute(
  request: ComputeRequest,
): Promise<{ work: KernelWork; payload: Uint8Array }> {
  const { kernel } = request
  const source = new TextEncoder().encode(kernel.wgsl)
  if (source.length > LIMITS.wgslBytes) {
    throw tooLarge('/kernel/wgsl', `is ${source.length} bytes, at most ${LIMITS.wgslBytes}`)
  }
  const [x, y, z_] = kernel.workgroups
  if (x * y * z_ > LIMITS.kernelWorkgroups) {
    throw tooLarge(
      '/kernel/workgroups',
      `are ${x * y * z_} workgroups, at most ${LIMITS.kernelWorkgroups}`,
    )
  }
  const { buffers, parts } = decodeBuffers(request.buffers)
  const work: KernelWork = {
    kind: 'kernel',
    ...kernel,
    buffers,
    digest: await digestBytes(source),
  }
  return { work, payload: concatBytes(parts) }
}

/** Outputs are named `binding:N`, in the order of their buffers. */
export function encodeCompute(
  answer: { readonly outputs: readonly TensorHeader[]; readonly payload: Uint8Array },
  about: { readonly id: string; readonly receipt: Bytes32 },
): ComputeResponse {
  const slices = sliceTensors(answer.outputs, answer.payload)
  const outputs = answer.outputs.map(({ name }, i) => ({
    binding: Number(name.slice('binding:'.length)),
    data: encodeBase64(slices[i] ?? new Uint8Array()),
  }))
  return { ...about, outputs }
}

function decodeBuffers(given: ComputeRequest['buffers']): {
  buffers: KernelBuffer[]
  parts: Uint8Array[]
} {
  const faults: FieldFault[] = []
  const buffers: KernelBuffer[] = []
  const parts: Uint8Array[] = []
  for (const [index, buffer] of given.entries()) {
    const fault = (name: string, detail: string) =>
      faults.push({ pointer: `/buffers/${index}/${name}`, detail })
    const isFilled = 'data' in buffer
    const bytes = isFilled ? decodeBase64(buffer.data) : undefined
    if (isFilled && bytes === undefined) fault('data', 'is not base64, or was cut off')
    const sizeBytes = 'data' in buffer ? (bytes?.length ?? 0) : buffer.sizeBytes
    const name = isFilled ? 'data' : 'sizeBytes'
    if (sizeBytes % 4 !== 0) fault(name, `is ${sizeBytes} bytes, which is not a multiple of 4`)
    if (bytes?.length === 0) fault(name, 'is empty')
    if (buffer.return && buffer.access !== 'read_write')
      fault('return', 'needs access "read_write"')
    if (buffers.some((other) => other.binding === buffer.binding)) {
      fault('binding', `${buffer.binding} appears twice`)
    }
    const most = buffer.access === 'uniform' ? LIMITS.kernelUniformBytes : LIMITS.kernelBufferBytes
    if (sizeBytes > most)
      throw tooLarge(`/buffers/${index}`, `is ${sizeBytes} bytes, at most ${most}`)
    const { binding, access } = buffer
    buffers.push({ binding, access, sizeBytes, filled: isFilled, return: buffer.return })
    if (bytes !== undefined) parts.push(bytes)
  }
  if (!buffers.some((buffer) => buffer.return)) {
    const detail = 'none has "return": true, so nothing would be returned'
    faults.push({ pointer: '/buffers', detail })
  }
  if (faults.length > 0) throw invalidRequest(faults)
  checkTotals(buffers)
  return { buffers, parts }
}

function checkTotals(buffers: readonly KernelBuffer[]): void {
  const total = (chosen: readonly KernelBuffer[]) =>
    chosen.reduce((sum, { sizeBytes }) => sum + sizeBytes, 0)
  const all = total(buffers)
  if (all > LIMITS.kernelTotalBytes) {
    throw tooLarge('/buffers', `are ${all} bytes together, at most ${LIMITS.kernelTotalBytes}`)
  }
  const returned = total(buffers.filter((buffer) => buffer.return))
  if (returned > LIMITS.jobOutputBytes) {
    throw tooLarge('/buffers', `return ${returned} bytes, at most ${LIMITS.jobOutputBytes}`)
  }
}
