/** How long a stranger's machine takes over a month of jobs, and how much memory at most. */
import { execFile } from 'node:child_process'
import { writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { promisify } from 'node:util'
import { z } from 'zod'
import { repositoryPath } from '#scripts/base/paths.ts'
import { invariant } from '#shared/base/errors.ts'
import { measureSection, type Section } from '../harness/harness.ts'
import { writeMonth } from './month.ts'

const run = promisify(execFile)

const Report = z.object({ code: z.int(), seconds: z.number(), peakMiB: z.number() })

export async function measureMonth(dir: string, jobCount: number): Promise<Section> {
  const { file, pins } = await writeMonth(dir, jobCount)
  const pinned = join(dir, 'month-pins.json')
  await writeFile(pinned, JSON.stringify(pins))
  const args = [repositoryPath('bench/audit/verify-file.ts'), file, '--pins', pinned]
  return measureSection({
    name: `a month of ${jobCount.toLocaleString('en')} jobs`,
    contenders: [
      {
        name: 'month',
        includes: '',
        async run() {
          const { stdout } = await run(process.execPath, args)
          const { code, seconds, peakMiB } = Report.parse(JSON.parse(stdout))
          invariant(code === 0, 'the month is whole')
          return { jobsPerSecond: [jobCount / seconds], peakMiB: [peakMiB] }
        },
      },
    ],
    comparisons: [],
    rounds: 1,
    warmUps: 0,
  })
}
