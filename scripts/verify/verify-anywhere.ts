/** The verifier as the one file `littoral-verify.mjs`: no installation, and no instance beside it whose word it would take. */
import { runVerifier } from './run.ts'

process.exitCode = await runVerifier(process.argv.slice(2), {
  instance: undefined,
  print: (line) => console.log(line),
})
