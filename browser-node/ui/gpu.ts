/** Checks before the first start which adapter this browser offers; opens no device. */
import { nameAdapter } from '#engine/adapter-name.ts'
import type { Gpu } from './page-state.ts'

export async function probeGpu(): Promise<Gpu> {
  const { gpu }: { gpu?: GPU } = navigator
  const adapter = await gpu?.requestAdapter().catch(() => null)
  return adapter == null ? { kind: 'none' } : { kind: 'adapter', ...nameAdapter(adapter.info) }
}
