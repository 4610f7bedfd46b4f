/** `npm run verify -- BUNDLE.json | RECEIPT…`: checks bundles and receipts. */
import { readDevInstance } from '#scripts/stack/dev-instance.ts'
import { runVerifier } from '#scripts/verify/run.ts'

process.exitCode = await runVerifier(process.argv.slice(2), {
  instance: await readDevInstance(),
  print: (line) => console.log(line),
})
