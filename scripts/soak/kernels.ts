/** The soak's part of strangers' kernels: the fuzz tests, with more kernels and others than `npm test` has. */
import { runStep } from '#scripts/base/run-step.ts'

export interface KernelSoakOptions {
  /** Through the reader and the rewriter. */
  readonly kernels: number
  /** Run in a local node, and as many in a tab. */
  readonly executed: number
  /** Of the first kernel; each has the next one. */
  readonly seed: number
}

const TESTS = ['test/fuzz/wgsl.test.ts', 'test/fuzz/wgsl-dawn.test.ts', 'test/browser/wgsl.test.ts']

/** What came of how many, and the seed of a kernel that went wrong, are in the output of the tests. */
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
