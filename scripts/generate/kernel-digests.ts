/** Writes `shared/kernels/digests.ts` from the kernels' WGSL and specifications; part of `npm run generate`. */
import { spawnSync } from 'node:child_process'
import { writeFile } from 'node:fs/promises'
import { computeKernelDigest, LIBRARY } from '#engine/kernels/library/library.ts'
import { repositoryPath } from '#scripts/base/paths.ts'

const TARGET = repositoryPath('shared/kernels/digests.ts')
const OXFMT = repositoryPath('node_modules/.bin/oxfmt')

export async function generateKernelDigests(): Promise<void> {
  const rows = LIBRARY.map((kernel) => `  '${kernel.name}': '${computeKernelDigest(kernel)}',`)
  const text = [
    '/** Digest of each library kernel, generated from its WGSL and its specification by `npm run generate`; do not edit. */',
    "import type { Bytes32 } from '#shared/base/ids.ts'",
    '',
    'export const KERNEL_DIGESTS: Readonly<Record<string, Bytes32>> = {',
    ...rows,
    '}',
    '',
  ].join('\n')
  await writeFile(TARGET, text)
  const formatted = spawnSync(OXFMT, [TARGET], { stdio: ['ignore', 'ignore', 'inherit'] })
  if (formatted.status !== 0) throw new Error('oxfmt failed on shared/kernels/digests.ts')
}

if (import.meta.main) await generateKernelDigests()
