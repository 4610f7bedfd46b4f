/** Measures whether the memory of workerd stays flat after its first tenth of many jobs; `--jobs 100000` is the figure to publish. */
import { join } from 'node:path'
import { embeddingCall } from '../gateway/full-path.ts'
import type { BenchContext } from '../harness/context.ts'
import { drive, type BenchResult, type Figure, type Ratio } from '../harness/harness.ts'
import { createHttpClient } from '../harness/http-client.ts'
import { openStack } from '../harness/open-stack.ts'
import { median, summarize } from '../harness/statistics.ts'
import { residentMiB } from './processes.ts'

const TENTHS = 10
const SAMPLES_A_TENTH = 10
const IN_FLIGHT = 8

/** What was measured until so many jobs were answered. */
interface Tenth {
  readonly jobs: number
  readonly mebibytes: readonly number[]
}

export async function measureEdgeMemory({ dir, log, jobs }: BenchContext): Promise<BenchResult> {
  const { stack, url, key } = await openStack({ dir: join(dir, 'edge-memory'), log })
  try {
    await stack.startNode({ name: 'memory', region: 'DE', verified: false })
    const tenths = await answerAll({ url, apiKey: key, jobs }, () => stack.worker().pid)
    return {
      name: 'edge-memory',
      title: `resident memory of workerd over ${jobs} embeddings, ${IN_FLIGHT} in flight`,
      sections: [
        {
          name: 'by tenth of the jobs',
          ratios: ratiosOf(tenths),
          figures: tenths.map(({ jobs: done, mebibytes }): Figure => ({
            contender: `until ${done} jobs`,
            metric: 'mebibytes',
            ...summarize(mebibytes),
          })),
        },
      ],
      includes: { workerd: 'Worker, hub, tenant and ledger, all jobs in it' },
      notes: [
        'A ratio compares medians of two tenths of the jobs. Resident memory includes garbage that is not collected yet.',
      ],
    }
  } finally {
    await stack.close()
  }
}

interface Load {
  readonly url: string
  readonly apiKey: string
  readonly jobs: number
}

async function answerAll({ url, apiKey, jobs }: Load, pid: () => number): Promise<Tenth[]> {
  const client = createHttpClient(url, IN_FLIGHT)
  const call = embeddingCall({ apiKey })
  const count = Math.ceil(jobs / TENTHS / SAMPLES_A_TENTH)
  const tenths: Tenth[] = []
  try {
    for (let tenth = 1; tenth <= TENTHS; tenth += 1) {
      const mebibytes: number[] = []
      for (let sample = 0; sample < SAMPLES_A_TENTH; sample += 1) {
        await drive({ count, inFlight: IN_FLIGHT }, () => client.send(call))
        mebibytes.push(residentMiB(pid()))
      }
      tenths.push({ jobs: tenth * SAMPLES_A_TENTH * count, mebibytes })
    }
  } finally {
    client.close()
  }
  return tenths
}

function ratiosOf([first, ...later]: readonly Tenth[]): Ratio[] {
  const start = median(first?.mebibytes ?? [])
  const grown = later.map(({ mebibytes }) => median(mebibytes) / start)
  return [
    {
      of: 'workerd, each later tenth',
      to: 'the first tenth',
      metric: 'memory',
      median: median(grown),
      min: Math.min(...grown),
      max: Math.max(...grown),
      rounds: grown.length,
    },
  ]
}
