/** Chooses the providers on which a local node runs models. */
import type { Provider } from '#shared/job/job.ts'
import type { ChildSetup } from './engine-messages.ts'

/** WebGPU first on a real adapter; on a software adapter only on request, since it is much slower than the CPU. */
export function deviceProviders({
  device,
  adapter,
}: Pick<ChildSetup, 'adapter' | 'device'>): Provider[] {
  if (device === 'webgpu') return ['webgpu']
  return device === 'auto' && adapter !== null && !adapter.isSoftware ? ['webgpu', 'cpu'] : ['cpu']
}
