/** Compiles a kernel into a pipeline with the host's own layout, and reports compiler errors with their line. */
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

/** The text that the device compiles, and what the host must bind for it. */
export type CompiledText = Pick<MeteredKernel, 'isMetered' | 'plain'> & SplitKernel

export interface CompiledKernel extends Omit<CompiledText, 'plain' | 'source'> {
  readonly pipeline: GPUComputePipeline
  readonly layout: GPUBindGroupLayout
  /** Layout of the host's own bind group: the meter's buffer and the block of a part. */
  readonly ownLayout: GPUBindGroupLayout | undefined
}

/**
 * @param plain the text as its author wrote it; errors are reported in its lines
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
  const entry = (binding: number, access: keyof typeof BINDING_TYPES) => ({
    binding,
    visibility: COMPUTE_STAGE,
    buffer: { type: BINDING_TYPES[access] },
  })
  const layout = device.createBindGroupLayout({
    entries: work.buffers.map(({ binding, access }) => entry(binding, access)),
  })
  const owned = [
    ...(isMetered ? [entry(0, 'read_write')] : []),
    ...(hasPart ? [entry(1, 'uniform')] : []),
  ]
  const ownLayout =
    owned.length === 0 ? undefined : device.createBindGroupLayout({ entries: owned })
  const pipelineLayout = device.createPipelineLayout({
    bindGroupLayouts: ownLayout === undefined ? [layout] : [layout, ownLayout],
  })
  // The additions make some invalid texts compile, so the original text is compiled too.
  const modules = (isMetered ? [plain, source] : [source]).map((code) =>
    device.createShaderModule({ code }),
  )
  const [fault, ...found] = await Promise.all([device.popErrorScope(), ...modules.map(firstError)])
  const error = found.find((each) => each !== undefined)
  if (error !== undefined)
    throw refuseKernel(`line ${error.lineNum}:${error.linePos}: ${error.message}`)
  if (fault !== null) throw refuseKernel(sayFault(fault.message))
  try {
    const module = modules.at(-1) ?? device.createShaderModule({ code: source })
    const pipeline = await device.createComputePipelineAsync({
      layout: pipelineLayout,
      compute: { module, entryPoint: work.entryPoint },
    })
    return { pipeline, layout, ownLayout, ...traits }
  } catch (cause) {
    throw refuseKernel(sayFault(cause instanceof Error ? cause.message : 'no pipeline'), cause)
  }
}

async function firstError(module: GPUShaderModule): Promise<GPUCompilationMessage | undefined> {
  const { messages } = await module.getCompilationInfo()
  return messages.find(({ type }) => type === 'error')
}

/** Rewords a WebGPU error after compilation, with the caller's line numbers. */
export function sayFault(message: string): string {
  const [, size, binding, least] =
    /bound with size (\d+) at group 0, binding (\d+) is too small\b[^]*at least (\d+) bytes/.exec(
      message,
    ) ?? []
  if (binding !== undefined)
    return `the buffer of binding ${binding} has ${size} bytes, and the type that the kernel gives it needs at least ${least}`
  const [, unset] = /uninitialized[^]*identifiers: ?\[([^\]]*)\]/.exec(message) ?? []
  if (unset !== undefined)
    return `override ${unset} has no value: write one where it is declared, since a job brings none`
  const [, line, told] = /:(\d+):\d+ error: ([^\n]*)/.exec(message) ?? []
  if (line !== undefined) return `line ${line}: ${told}`
  const [first = ''] = (/(?:^|\n)error: ([^\n]*)/.exec(message)?.[1] ?? message).split('\n')
  return `the kernel could not be compiled: ${first.replaceAll(/ ?\[?[\w ]*\(unlabeled[^)]*\)\]?/g, '')}`
}

export function refuseKernel(detail: string, cause?: unknown): AppError {
  const text = detail.slice(0, 1_000)
  return new AppError('invalid_request', `The kernel cannot be run: ${text}`, {
    meta: { errors: [{ pointer: '/kernel/wgsl', detail: text }] },
    cause,
  })
}
