/** Runs forge once and shows each of its tests as one here: contracts/test holds them. */
import { describe, expect, it } from 'vitest'
import { z } from 'zod'
import { runForge } from '#scripts/base/forge.ts'

const Report = z.record(
  z.string(),
  z.object({
    test_results: z.record(
      z.string(),
      z.object({ status: z.string(), reason: z.string().nullish() }),
    ),
  }),
)

const { exitCode, stdout, stderr } = await runForge(['test', '--json', '--gas-snapshot-check=true'])

/** The report is the one line that is an object of suites; failing invariants print events before it. */
function readReport(): z.infer<typeof Report> {
  for (const line of stdout.trim().split('\n').toReversed()) {
    const parsed = Report.safeParse(line.startsWith('{') ? JSON.parse(line) : undefined)
    if (parsed.success) return parsed.data
  }
  throw new Error(`forge test gave no report\n${stdout.slice(-2_000)}\n${stderr.slice(-4_000)}`)
}

const report = readReport()

for (const [suite, { test_results }] of Object.entries(report)) {
  describe(suite.replace(/^.*:/, ''), () => {
    for (const [name, { status, reason }] of Object.entries(test_results)) {
      it(name, () => expect(`${status} ${reason ?? ''}`.trim()).toBe('Success'))
    }
  })
}

describe('forge', () => {
  it('ends well, with the gas figures of contracts/snapshots', () => {
    expect(exitCode, stderr.slice(-2_000)).toBe(0)
  })
})
