/** `npm test`: runs all vitest projects; arguments go to vitest. */
import { runStep } from '#scripts/base/run-step.ts'

const args = process.argv.slice(2)
process.exitCode = await runStep('vitest', ['run', ...args])
