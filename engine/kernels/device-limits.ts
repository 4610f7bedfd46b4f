/** The engine's requests to an adapter beyond WebGPU's defaults. */
import { FeatureName } from '#shared/job/job.ts'
import { LIMITS } from '#shared/base/limits.ts'

/** Device features that kernels may use, with their WGSL names: https://www.w3.org/TR/WGSL/#enable-extensions-sec */
const KERNEL_FEATURES: Readonly<Record<string, string>> = {
  'shader-f16': 'f16',
  subgroups: 'subgroups',
}
const TIMESTAMPS = 'timestamp-query'

/** Requests one buffer more than a kernel may bind, for the meter, and the features that the adapter has. */
export function deviceFor({
  limits,
  features,
}: Pick<GPUAdapter, 'features' | 'limits'>): GPUDeviceDescriptor {
  const wanted = LIMITS.kernelBuffers + 1
  const offered = limits.maxStorageBuffersPerShaderStage
  const asked = [...Object.keys(KERNEL_FEATURES), TIMESTAMPS] as GPUFeatureName[]
  return {
    requiredLimits: { maxStorageBuffersPerShaderStage: Math.min(wanted, offered) },
    requiredFeatures: asked.filter((name) => features.has(name)),
  }
}

/** Lists the WGSL extensions that this device can `enable`, and language features that its compiler accepts in `requires`. */
export function featuresOf(
  { features }: Pick<GPUDevice, 'features'>,
  language: Iterable<string>,
): string[] {
  const enabled = Object.entries(KERNEL_FEATURES).filter(([name]) => features.has(name))
  return [...enabled.map(([, name]) => name), ...language]
    .filter((name) => FeatureName.safeParse(name).success)
    .toSorted()
    .slice(0, LIMITS.kernelFeatures)
}
