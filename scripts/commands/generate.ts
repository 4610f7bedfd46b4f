/** `npm run generate`: writes every generated file. With `--check` it names those that are out of date, leaves them as they were, and fails. */
import { execFileSync } from 'node:child_process'
import { existsSync, readFileSync, writeFileSync } from 'node:fs'
import { repositoryPath } from '#scripts/base/paths.ts'
import { generateAbi } from '#scripts/generate/abi.ts'
import { generateCountryCells } from '#scripts/generate/country-cells.ts'
import { generateCountryPoints } from '#scripts/generate/country-points.ts'
import { generateKernelDigests } from '#scripts/generate/kernel-digests.ts'
import { generateManifests } from '#scripts/generate/manifests.ts'
import { writeOpenApi } from '#scripts/generate/openapi.ts'
import { ENCODER_PATH, generateEncoder } from '#scripts/generate/solidity-encoder.ts'

/** Path of each generated file, and the function that writes it. */
const FILES: Readonly<Record<string, () => void | Promise<void>>> = {
  'worker/env.d.ts': writeEnvironmentTypes,
  [ENCODER_PATH]: generateEncoder,
  'shared/receipt/settlement-abi.ts': generateAbi,
  'shared/place/country-cells.ts': generateCountryCells,
  'shared/kernels/digests.ts': generateKernelDigests,
  'shared/job/manifests.ts': generateManifests,
  'console/compliance/page/country-points.ts': generateCountryPoints,
  'docs/openapi.json': writeOpenApi,
}

const isCheck = process.argv.includes('--check')
const stale: string[] = []
for (const [path, write] of Object.entries(FILES)) {
  const file = repositoryPath(path)
  const before = existsSync(file) ? readFileSync(file, 'utf8') : ''
  await write()
  if (readFileSync(file, 'utf8') === before) continue
  stale.push(path)
  if (isCheck) writeFileSync(file, before)
}
if (isCheck && stale.length > 0) {
  console.error(`Out of date: ${stale.join(', ')}. Run: npm run generate`)
  process.exitCode = 1
} else {
  console.log(
    stale.length === 0 ? 'Generated files are up to date.' : `Written: ${stale.join(', ')}`,
  )
}

/** wrangler makes the types of the Worker's bindings from wrangler.toml. */
function writeEnvironmentTypes(): void {
  const wrangler = repositoryPath('node_modules/wrangler/bin/wrangler.js')
  const args = [wrangler, 'types', 'worker/env.d.ts', '--include-runtime=false']
  execFileSync(process.execPath, args, { cwd: repositoryPath('.'), stdio: 'ignore' })
}
