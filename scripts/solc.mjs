#!/usr/bin/env node
/** Replaces the native `solc` that forge expects: `--version`, and `--standard-json` from stdin to stdout. */
import { createRequire } from 'node:module'
import { readFileSync } from 'node:fs'

const solc = createRequire(import.meta.url)('solc')
const { argv, stdout } = process

if (argv.includes('--version')) {
  stdout.write(`solc, the solidity compiler\nVersion: ${solc.version()}\n`)
} else if (argv.includes('--standard-json')) {
  stdout.write(solc.compile(readFileSync(0, 'utf8')))
} else {
  process.stderr.write('solc.mjs speaks --version and --standard-json\n')
  process.exit(1)
}
