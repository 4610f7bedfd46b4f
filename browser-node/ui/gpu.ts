/** Looks at what this browser offers before a node is started: asks for an adapter, opens no device. */
import type { Gpu } from './page-state.ts'

export async function probeGpu(gpu: GPU | undefined = navigator.gpu): Promise<Gpu> {
  const adapter = await gpu?.requestAdapter().catch(() => null)
  if (adapter === null || adapter === undefined) return { kind: 'none' }
  const { vendor, architecture, description, isFallbackAdapter } = adapter.info
  const name = [vendor, architecture].filter((part) => part !== '').join(' ') || description
  const isSoftware =
    isFallbackAdapter || /swiftshader|llvmpipe|lavapipe|warp/i.test(`${name} ${description}`)
  return { kind: 'adapter', name: name || 'unnamed GPU', isSoftware }
}

export function describeAdapter({
  name,
  isSoftware,
}: {
  name: string
  isSoftware: boolean
}): string {
  return isSoftware ? `${name} (software)` : name
}
