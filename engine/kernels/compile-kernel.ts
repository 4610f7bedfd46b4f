/** Makes a pipeline of a kernel's text: the host's own layout, and the compiler's complaint with its line. */
import { AppError } from '#shared/base/errors.ts'
import type { KernelWork } from '#shared/job/job.ts'
import type { MeteredKernel } from './rewrite/meter-kernel.ts'
import type { SplitKernel } from './rewrite/split-kernel.ts'

// Value of GPUShaderStage: https://www.w3.org/TR/webgpu/#typedefdef-gpushaderstageflags
const COMPUTE_STAGE = 4

const BINDING_TYPES = {
  read: 'read-only-storage',
  read_write: 'storage',
  uniform: 'uniform',
} as const

/** A kernel's text as the device gets it, and what the host must bind for it. */
export type CompiledText = Pick<MeteredKernel, 'isMetered' | 'plain'> & SplitKernel

export interface CompiledKernel extends Omit<CompiledText, 'plain' | 'source'> {
  readonly pipeline: GPUComputePipeline
  readonly layout: GPUBindGroupLayout
  /** Of what is the host's own, in a group of its own: the meter's buffer, and the block of a part. */
  readonly ownLayout: GPUBindGroupLayout | undefined
}

/**
 * @param plain the text as its author wrote it: what is wrong with it is told in its lines
 * @throws {AppError} invalid_request with line and column, no_capacity when the adapter binds too few buffers
 */
export async function compileKernel(
  device: GPUDevice,
  work: KernelWork,
  { source, plain, ...traits }: CompiledText,
): Promise<CompiledKernel> {
  const { isMetered, hasPart } = traits
  const stored = work.buffers.filter(({ access }) => access !== 'uniform').length
  const bindings = stored + (isMetered ? 1 : 0)
  const most = device.limits.maxStorageBuffersPerShaderStage
  if (bindings > most) {
    const detail = `This node's adapter binds ${most} buffers and the kernel needs ${bindings}, its budget's among them.`
    throw new AppError('no_capacity', detail)
  }
  device.pushErrorScope('validation')
  const layout = device.createBindGroupLayout({
    entries: work.buffers.map(({ binding, access }) => ({
      binding,
      visibility: COMPUTE_STAGE,
      buffer: { type: BINDING_TYPES[access] },
    })),
  })
  const owned = [
    ...(isMetered ? [{ binding: 0, type: 'storage' as const }] : []),
    ...(hasPart ? [{ binding: 1, type: 'uniform' as const }] : []),
  ]
  const ownLayout =
    owned.length === 0
      ? undefined
      : device.createBindGroupLayout({
          entries: owned.map(({ binding, type }) => ({
            binding,
            visibility: COMPUTE_STAGE,
            buffer: { type },
          })),
        })
  const pipelineLayout = device.createPipelineLayout({
    bindGroupLayouts: ownLayout === undefined ? [layout] : [layout, ownLayout],
  })
  const module = device.createShaderModule({ code: source })
  const [fault, { messages }] = await Promise.all([
    device.popErrorScope(),
    module.getCompilationInfo(),
  ])
  const error = findError(messages)
  if (error !== undefined) throw refuseKernel(await complaint(device, plain, error))
  if (fault !== null) throw refuseKernel(fault.message)
  try {
    const pipeline = await device.createComputePipelineAsync({
      layout: pipelineLayout,
      compute: { module, entryPoint: work.entryPoint },
    })
    return { pipeline, layout, ownLayout, ...traits }
  } catch (cause) {
    throw refuseKernel(cause instanceof Error ? cause.message : 'no pipeline', cause)
  }
}

function findError(messages: readonly GPUCompilationMessage[]): GPUCompilationMessage | undefined {
  return messages.find(({ type }) => type === 'error')
}

/** What the compiler says of the text that the caller wrote, not of what was made of it. */
async function complaint(
  device: GPUDevice,
  plain: string,
  error: GPUCompilationMessage,
): Promise<string> {
  device.pushErrorScope('validation')
  const module = device.createShaderModule({ code: plain })
  const [, { messages }] = await Promise.all([device.popErrorScope(), module.getCompilationInfo()])
  const { lineNum, linePos, message } = findError(messages) ?? error
  return `line ${lineNum}:${linePos}: ${message}`
}

export function refuseKernel(detail: string, cause?: unknown): AppError {
  const text = detail.slice(0, 1_000)
  return new AppError('invalid_request', `The kernel cannot be run: ${text}`, {
    meta: { errors: [{ pointer: '/kernel/wgsl', detail: text }] },
    cause,
  })
}
