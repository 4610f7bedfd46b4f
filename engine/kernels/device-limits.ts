/** What is asked of an adapter beyond WebGPU's defaults. */
import { FeatureName } from '#shared/job/job.ts'
import { LIMITS } from '#shared/base/limits.ts'

/** Device features that a kernel may ask for, by their names in WGSL: https://www.w3.org/TR/WGSL/#enable-extensions-sec */
const KERNEL_FEATURES: Readonly<Record<string, string>> = {
  'shader-f16': 'f16',
  subgroups: 'subgroups',
}
/** Lets the device say how long it worked. */
const TIMESTAMPS = 'timestamp-query'

/** One buffer more than a kernel may have, for its budget, and the features that it may ask for, where the adapter has them. */
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

/** What WGSL may `enable` on this device, and the language features of its compiler that WGSL may `require`. */
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
