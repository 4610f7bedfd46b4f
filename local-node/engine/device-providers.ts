/** Where a local node runs models. */
import type { Provider } from '#shared/job/job.ts'
import type { ChildSetup } from './engine-messages.ts'

/** WebGPU first on a real adapter; on a software one only when it is asked for, since it loses to the CPU by far. */
export function deviceProviders({
  device,
  adapter,
}: Pick<ChildSetup, 'adapter' | 'device'>): Provider[] {
  if (device === 'webgpu') return ['webgpu']
  return device === 'auto' && adapter !== null && !adapter.isSoftware ? ['webgpu', 'cpu'] : ['cpu']
}
