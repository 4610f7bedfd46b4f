/** What is asked of an adapter beyond WebGPU's defaults. */
import { LIMITS } from '#shared/limits.ts'

/** One buffer more than a kernel may have, for its budget, where the adapter has it. */
export function deviceFor({ limits }: Pick<GPUAdapter, 'limits'>): GPUDeviceDescriptor {
  const wanted = LIMITS.kernelBuffers + 1
  const offered = limits.maxStorageBuffersPerShaderStage
  return { requiredLimits: { maxStorageBuffersPerShaderStage: Math.min(wanted, offered) } }
}
