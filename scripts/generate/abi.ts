/** Writes `shared/receipt/settlement-abi.ts` from the built contracts. */
import { readArtifact } from '#scripts/base/forge.ts'
import { writeSource } from './write-source.ts'

export async function generateAbi(): Promise<void> {
  const settlement = await readArtifact('Settlement')
  const abi = JSON.stringify(settlement.abi, (key, value: unknown) =>
    key === 'internalType' ? undefined : value,
  )
  writeSource('shared/receipt/settlement-abi.ts', [
    "/** The Settlement contract's ABI, generated from `contracts/` by `npm run generate`; do not edit. */",
    '/* oxlint-disable max-lines */',
    '',
    `export const SETTLEMENT_ABI = ${abi} as const`,
  ])
}
