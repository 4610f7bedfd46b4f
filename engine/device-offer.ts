/** What a device has for models, held against what their manifests require of one: before a byte of them is fetched. */
import type { Provider } from '#shared/job/job.ts'
import type { ModelManifest } from '#shared/job/model.ts'

export interface DeviceOffer {
  /** Largest buffer that a shader may be given. */
  readonly bufferBytes: number
  /** Whether shaders may compute with half floats. */
  readonly f16: boolean
}

export function offerOf({
  limits,
  features,
}: Pick<GPUAdapter, 'features' | 'limits'>): DeviceOffer {
  const { maxBufferSize, maxStorageBufferBindingSize } = limits
  return {
    bufferBytes: Math.min(maxBufferSize, maxStorageBufferBindingSize),
    f16: features.has('shader-f16'),
  }
}

/**
 * Providers on which a model may be tried, of those that a device has. What it requires is required of a GPU: on a CPU
 * a weight is memory like any other. An offer that is not known meets no requirement.
 */
export function providersFor(
  { providers, requires }: Pick<ModelManifest, 'providers' | 'requires'>,
  { offer, has }: { readonly offer: DeviceOffer | undefined; readonly has: readonly Provider[] },
): Provider[] {
  const fits =
    requires === undefined ||
    (offer !== undefined &&
      requires.bufferBytes <= offer.bufferBytes &&
      (offer.f16 || !requires.f16))
  return has
    .filter((provider) => providers?.includes(provider) ?? true)
    .filter((provider) => provider !== 'webgpu' || fits)
}
