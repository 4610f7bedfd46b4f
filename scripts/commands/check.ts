/** `npm run check`: format, lint, types for each runtime, rooms, unused code, generated files. `npm run fix` corrects the first two. */
import { runStep } from '#scripts/base/run-step.ts'

/** Folders with a tsconfig of their own, each with only its runtime's types. */
const PROJECTS = [
  'shared',
  'p2p',
  'engine',
  'node-core',
  'worker',
  'browser-node',
  'console',
  'local-node',
  'bridge',
  'scripts',
  'test',
  'test/browser/pages',
  'bench',
  'examples',
  'bench/kernels/page',
]

const fix = process.argv.includes('--fix')
const STEPS: readonly (readonly [name: string, tool: string, args: readonly string[]])[] = fix
  ? [
      ['format', 'oxfmt', ['.']],
      ['lint', 'oxlint', ['--type-aware', '--fix']],
    ]
  : [
      ['format', 'oxfmt', ['--check', '.']],
      ['lint', 'oxlint', ['--type-aware']],
      ['types', 'tsc', ['-b', ...PROJECTS]],
      ['rooms', 'node', ['scripts/commands/house.ts']],
      ['walk', 'node', ['scripts/commands/walk.ts']],
      ['unused', 'knip', []],
      ['generated', 'node', ['scripts/commands/generate.ts', '--check']],
    ]

const failed: string[] = []
for (const [name, tool, args] of STEPS) {
  console.log(`\n— ${name}: ${tool} ${args.join(' ')}`)
  if ((await runStep(tool, args)) !== 0) failed.push(name)
}
console.log(failed.length === 0 ? '\nAll checks passed.' : `\nFailed: ${failed.join(', ')}`)
process.exitCode = failed.length === 0 ? 0 : 1
