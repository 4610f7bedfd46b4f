/** The verifier as the single file `littoral-verify.mjs`: no installation, and no local instance to trust. */
import { runVerifier } from './run.ts'

/** The build puts the usage here. */
declare const __USAGE__: string

const args = process.argv.slice(2)
if (args.includes('--help')) console.log(__USAGE__)
else
  process.exitCode = await runVerifier(args, {
    instance: undefined,
    print: (line) => console.log(line),
  })
