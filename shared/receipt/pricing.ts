/** The price of a submitted kernel. A model's manifest has its own units and price. */
import type { KernelWork } from '#shared/job/job.ts'

export const KERNEL_PRICE_MICRO_USD = 1

/** Workgroups per unit; at WebGPU's default limit of 256 invocations each, a unit is 65,536 invocations. */
const WORKGROUPS_PER_UNIT = 256

/**
 * One unit for every 256 workgroups begun, whatever their `@workgroup_size`. This needs no parsing of the WGSL, is known
 * before the job runs, and does not fall when a kernel declares small workgroups.
 */
export function kernelUnits(work: Pick<KernelWork, 'workgroups'>): number {
  const [x, y, z] = work.workgroups
  return Math.ceil((x * y * z) / WORKGROUPS_PER_UNIT)
}
