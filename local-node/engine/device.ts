/** WebGPU in Node: Dawn, through the npm package `webgpu`. */
import { existsSync } from 'node:fs'
import { create, globals } from 'webgpu'
import { offerOf, type DeviceOffer } from '#engine/device-offer.ts'
import { deviceFor, featuresOf } from '#engine/kernels/device-limits.ts'
import type { Adapter } from '#shared/job/job.ts'

export interface NodeDevice {
  /** Dawn's instance: the process dies when it is collected while a device of it lives. */
  readonly gpu: GPU
  readonly device: GPUDevice
  readonly adapter: Adapter
  readonly offer: DeviceOffer
  readonly features: readonly string[]
}

/** Where Debian's Chromium keeps the driver of its software adapter. */
const SWIFTSHADER_ICD = '/usr/lib/chromium/vk_swiftshader_icd.json'
const SOFTWARE_NAMES = /swiftshader|llvmpipe|lavapipe|softpipe|basic render/i

/** Opens the first adapter with the limits that submitted kernels may use; undefined when there is none. */
export async function openDevice(): Promise<NodeDevice | undefined> {
  Object.assign(globalThis, globals)
  const gpu = create([])
  const adapter = await gpu.requestAdapter({ powerPreference: 'high-performance' })
  if (adapter === null) return undefined
  const { vendor, architecture, description } = adapter.info
  const name = [vendor, architecture, description]
    .filter((part) => part !== '')
    .join(' ')
    .slice(0, 128)
  const isSoftware =
    adapter.info.isFallbackAdapter || SOFTWARE_NAMES.test(`${name} ${adapter.info.device}`)
  const device = await adapter.requestDevice(deviceFor(adapter))
  return {
    gpu,
    device,
    features: featuresOf(device, gpu.wgslLanguageFeatures),
    adapter: { name, isSoftware },
    offer: offerOf(adapter),
  }
}

/** Environment in which a software adapter is found on a machine without a GPU; undefined when it has none to offer. */
export function softwareEnvironment(env: NodeJS.ProcessEnv): NodeJS.ProcessEnv | undefined {
  if (env.VK_DRIVER_FILES !== undefined || !existsSync(SWIFTSHADER_ICD)) return undefined
  return { ...env, VK_DRIVER_FILES: SWIFTSHADER_ICD }
}
