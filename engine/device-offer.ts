/** Compares what a device offers with what a manifest requires, before any byte of the model is fetched. */
import type { Provider } from '#shared/job/job.ts'
import type { ModelManifest } from '#shared/job/model.ts'

export type DeviceOffer = ReturnType<typeof offerOf>

export function offerOf({ limits, features }: Pick<GPUAdapter, 'features' | 'limits'>) {
  const { maxBufferSize, maxStorageBufferBindingSize } = limits
  return {
    /** Largest buffer that a shader may bind. */
    bufferBytes: Math.min(maxBufferSize, maxStorageBufferBindingSize),
    /** Whether shaders may compute with half floats. */
    f16: features.has('shader-f16'),
  }
}

/**
 * Providers of a device on which a model may be tried. Requirements apply to GPUs only: on a CPU weights are ordinary
 * memory. An unknown offer meets no requirement.
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
