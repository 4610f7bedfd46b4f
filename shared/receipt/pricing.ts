/** What a submitted kernel costs. A model's units and price stand in its manifest. */
import type { KernelWork } from '#shared/job/job.ts'

export const KERNEL_PRICE_MICRO_USD = 1

/** Workgroups that make one unit: at WebGPU's default limit of 256 invocations each, 65,536 invocations. */
const WORKGROUPS_PER_UNIT = 256

/**
 * Units of a kernel: one for every 256 workgroups begun, whatever their `@workgroup_size`. It needs no parsing of the
 * WGSL, is known before the job runs, and cannot be lowered by declaring small workgroups.
 */
export function kernelUnits(work: Pick<KernelWork, 'workgroups'>): number {
  const [x, y, z] = work.workgroups
  return Math.ceil((x * y * z) / WORKGROUPS_PER_UNIT)
}
