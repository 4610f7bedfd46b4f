/** Writes `shared/kernels/digests.ts` from the kernels' WGSL and specifications. */
import { computeKernelDigest, LIBRARY } from '#engine/kernels/library/library.ts'
import { writeSource } from './write-source.ts'

export function generateKernelDigests(): void {
  const rows = LIBRARY.map((kernel) => `  '${kernel.name}': '${computeKernelDigest(kernel)}',`)
  writeSource('shared/kernels/digests.ts', [
    '/** Digest of each library kernel, generated from its WGSL and its specification by `npm run generate`; do not edit. */',
    "import type { Bytes32 } from '#shared/base/ids.ts'",
    '',
    'export const KERNEL_DIGESTS: Readonly<Record<string, Bytes32>> = {',
    ...rows,
    '}',
  ])
}
