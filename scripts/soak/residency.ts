/** The soak's part of residency: the fuzz tests of the decision and of whole lives, with more cases and other seeds than `npm test`. */
import { runStep } from '#scripts/base/run-step.ts'

export interface ResidencySoakOptions {
  /** Against the text of the policy. */
  readonly decisions: number
  /** Against Cedar. */
  readonly cedarCases: number
  /** Simulated requests, from the Worker's dispatch to their end. */
  readonly lives: number
  /** Of the first policy and of the first network; each has the next one. */
  readonly seed: number
}

/** How many there were of each kind, and the seed of what went wrong, are in the output of the tests. */
export async function soakResidency({ decisions, cedarCases, lives, seed }: ResidencySoakOptions) {
  console.error(
    `residency: ${decisions} decisions, ${cedarCases} against Cedar, ${lives} lives, from seed ${seed}`,
  )
  const exitCode = await runStep(
    'vitest',
    ['run', '--project', 'fuzz', 'test/fuzz/residency.test.ts'],
    {
      LITTORAL_FUZZ_DECISIONS: String(decisions),
      LITTORAL_FUZZ_CEDAR: String(cedarCases),
      LITTORAL_FUZZ_LIVES: String(lives),
      LITTORAL_FUZZ_SEED: String(seed),
    },
  )
  const faults =
    exitCode === 0 ? [] : [`the fuzz of residency from seed ${seed} ended with ${exitCode}`]
  return { report: { decisions, cedarCases, lives, seed }, faults }
}
