/** Soak of submitted kernels: the fuzz tests with more and other kernels than in `npm test`. */
import { runStep } from '#scripts/base/run-step.ts'

export interface KernelSoakOptions {
  /** Number of kernels that are read and rewritten. */
  readonly kernels: number
  /** Number of kernels that run in a local node, and again in a tab. */
  readonly executed: number
  /** Seed of the first kernel; each kernel takes the next one. */
  readonly seed: number
}

const TESTS = ['test/fuzz/wgsl.test.ts', 'test/fuzz/wgsl-dawn.test.ts', 'test/browser/wgsl.test.ts']

/** The output of the tests has the counts and the seed of a failed kernel. */
export async function soakKernels({ kernels, executed, seed }: KernelSoakOptions) {
  console.error(
    `kernels: ${kernels} through reader and rewriter, ${executed} run in a local node and in a tab, from seed ${seed}`,
  )
  const projects = ['--project', 'fuzz', '--project', 'browser']
  const exitCode = await runStep('vitest', ['run', ...projects, ...TESTS], {
    LITTORAL_FUZZ_KERNELS: String(kernels),
    LITTORAL_FUZZ_EXECUTED: String(executed),
    LITTORAL_FUZZ_SEED: String(seed),
  })
  const faults =
    exitCode === 0 ? [] : [`the fuzz of kernels from seed ${seed} ended with ${exitCode}`]
  return { report: { kernels, executed, seed }, faults }
}
