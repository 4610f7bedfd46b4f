/** Opens WebGPU in Node through Dawn, the npm package `webgpu`. */
import { existsSync } from 'node:fs'
import { create, globals } from 'webgpu'
import { nameAdapter } from '#engine/adapter-name.ts'
import { offerOf, type DeviceOffer } from '#engine/device-offer.ts'
import { deviceFor, featuresOf } from '#engine/kernels/device-limits.ts'
import type { Adapter, Provider } from '#shared/job/job.ts'
import type { ChildSetup } from './engine-messages.ts'

export interface NodeDevice {
  /** Dawn's instance. The process dies if it is garbage-collected while one of its devices is alive. */
  readonly gpu: GPU
  readonly device: GPUDevice
  readonly adapter: Adapter
  readonly offer: DeviceOffer
  readonly features: readonly string[]
}

/** The driver of Chromium's software adapter on Debian. */
const SWIFTSHADER_ICD = '/usr/lib/chromium/vk_swiftshader_icd.json'

/** Opens the first adapter with the limits that submitted kernels may use; undefined without an adapter. */
export async function openDevice(): Promise<NodeDevice | undefined> {
  Object.assign(globalThis, globals)
  const gpu = create([])
  const adapter = await gpu.requestAdapter({ powerPreference: 'high-performance' })
  if (adapter === null) return undefined
  const device = await adapter.requestDevice(deviceFor(adapter))
  return {
    gpu,
    device,
    features: featuresOf(device, gpu.wgslLanguageFeatures),
    adapter: nameAdapter(adapter.info),
    offer: offerOf(adapter),
  }
}

/** Puts WebGPU first on a real adapter; on a software adapter only on request, since it is much slower than the CPU. */
export function deviceProviders({
  device,
  adapter,
}: Pick<ChildSetup, 'adapter' | 'device'>): Provider[] {
  if (device === 'webgpu') return ['webgpu']
  return device === 'auto' && adapter !== null && !adapter.isSoftware ? ['webgpu', 'cpu'] : ['cpu']
}

/** Gives the environment in which Dawn finds a software adapter; undefined when this machine has none. */
export function softwareEnvironment(env: NodeJS.ProcessEnv): NodeJS.ProcessEnv | undefined {
  if (env.VK_DRIVER_FILES !== undefined || !existsSync(SWIFTSHADER_ICD)) return undefined
  return { ...env, VK_DRIVER_FILES: SWIFTSHADER_ICD }
}
