/** Soak of residency: the fuzz tests of decisions and of whole requests, with more cases and other seeds than in `npm test`. */
import { runStep } from '#scripts/base/run-step.ts'

export interface ResidencySoakOptions {
  /** Number of decisions compared with the policy's text. */
  readonly decisions: number
  /** Number of decisions compared with Cedar. */
  readonly cedarCases: number
  /** Number of simulated requests, from the Worker's dispatch to their end. */
  readonly lives: number
  /** Seed of the first policy and of the first network; each takes the next one. */
  readonly seed: number
}

/** The output of the tests has the counts and the seed of a failed case. */
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
