import { describe, expect, it } from 'vitest'
import { offerOf, providersFor } from '#engine/device-offer.ts'

const offer = { bufferBytes: 1_000, f16: false }
const has = ['webgpu', 'cpu'] as const

function adapter(
  maxBufferSize: number,
  maxStorageBufferBindingSize: number,
  ...features: string[]
) {
  const limits = { maxBufferSize, maxStorageBufferBindingSize } as GPUSupportedLimits
  return { limits, features: new Set(features) as unknown as GPUSupportedFeatures }
}

describe('the requirements of a manifest', () => {
  it.each([
    ['nothing', undefined, ['webgpu', 'cpu']],
    ['as much as there is', { bufferBytes: 1_000, f16: false }, ['webgpu', 'cpu']],
    ['a larger buffer', { bufferBytes: 1_001, f16: false }, ['cpu']],
    ['half floats', { bufferBytes: 1, f16: true }, ['cpu']],
  ])('[M12] apply to the GPU: %s', (_what, requires, providers) => {
    const manifest = requires === undefined ? {} : { requires }
    expect(providersFor(manifest, { offer, has })).toEqual(providers)
  })

  it('[M12] leave no provider to a WebGPU-only model, or when the GPU is unknown', () => {
    const requires = { bufferBytes: 1_001, f16: false }
    expect(providersFor({ requires, providers: ['webgpu'] }, { offer, has })).toEqual([])
    expect(providersFor({ requires }, { offer: undefined, has: ['webgpu'] })).toEqual([])
  })

  it('[M12] are compared with the smaller of two limits, and with the feature', () => {
    expect(offerOf(adapter(2_000, 1_000))).toEqual({ bufferBytes: 1_000, f16: false })
    expect(offerOf(adapter(500, 1_000, 'shader-f16'))).toEqual({ bufferBytes: 500, f16: true })
  })
})
