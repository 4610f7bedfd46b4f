/** Writes `shared/receipt/settlement-abi.ts` from the built contracts; part of `npm run generate`. */
import { writeFile } from 'node:fs/promises'
import { spawnSync } from 'node:child_process'
import { readArtifact } from '#scripts/base/forge.ts'
import { repositoryPath } from '#scripts/base/paths.ts'

const TARGET = repositoryPath('shared/receipt/settlement-abi.ts')
const OXFMT = repositoryPath('node_modules/.bin/oxfmt')

/** Builds the contracts and writes the ABI as a constant. */
export async function generateAbi(): Promise<void> {
  const settlement = await readArtifact('Settlement')
  const abi = JSON.stringify(settlement.abi, (key, value: unknown) =>
    key === 'internalType' ? undefined : value,
  )
  const text = [
    "/** The Settlement contract's ABI, generated from `contracts/` by `npm run generate`; do not edit. */",
    '/* oxlint-disable max-lines */',
    '',
    `export const SETTLEMENT_ABI = ${abi} as const`,
    '',
  ].join('\n')
  await writeFile(TARGET, text)
  const formatted = spawnSync(OXFMT, [TARGET], { stdio: ['ignore', 'ignore', 'inherit'] })
  if (formatted.status !== 0) throw new Error('oxfmt failed on shared/receipt/settlement-abi.ts')
}

if (import.meta.main) await generateAbi()
