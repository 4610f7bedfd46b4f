/** Names a WebGPU adapter, and tells whether it computes on the CPU. */
import type { Adapter } from '#shared/job/job.ts'

const SOFTWARE = /swiftshader|llvmpipe|lavapipe|softpipe|warp|basic render/i

export function nameAdapter(info: GPUAdapterInfo): Adapter {
  const { vendor, architecture, description, device, isFallbackAdapter } = info
  const parts = [vendor, architecture, description].filter((part) => part !== '')
  const name = parts.join(' ').slice(0, 128) || 'unnamed adapter'
  return { name, isSoftware: isFallbackAdapter || SOFTWARE.test(`${name} ${device}`) }
}
