/** Generated kernels in a tab: real Chromium keeps serving after all of them. Rules: docs/design/kernels-untrusted.md. */
import { expect, test } from 'vitest'
import { executedKernels, executeKernels, OVERRUNS_PER_HUNDRED } from '../support/wgsl/execute.ts'
import { openTabEngine } from './tab-engine.ts'

const EXECUTED = Number(process.env.LITTORAL_FUZZ_EXECUTED ?? 200)

test(
  `[U8] a tab keeps serving after ${EXECUTED} generated kernels`,
  { timeout: 120_000 + EXECUTED * 10_000 },
  async () => {
    const engine = await openTabEngine({ models: [] })
    try {
      expect(engine.kernels).toBe('any')
      const report = await executeKernels(engine, executedKernels(EXECUTED))
      console.log(`tab: ${JSON.stringify(report.summary)}`)
      expect(report.ended.length, report.ended.join('; ')).toBeLessThanOrEqual(
        (EXECUTED / 100) * OVERRUNS_PER_HUNDRED,
      )
      expect(report.outcomes.get('answered') ?? 0).toBeGreaterThan(EXECUTED / 10)
      expect(report.outcomes.get('no_capacity') ?? 0).toBeGreaterThan(EXECUTED / 20)
    } finally {
      await engine.close()
    }
  },
)
