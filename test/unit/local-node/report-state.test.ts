/** The lines by which a local node tells its owner what it does. */
import { expect, test } from 'vitest'
import { createStateReport } from '#local-node/report-state.ts'
import type { NodeState } from '#node-core/node-state.ts'
import { createLog } from '#shared/base/log.ts'

const IDLE: NodeState = {
  phase: 'online',
  detail: 'Connected to eu-west.',
  nodeId: 'node',
  claim: 'DE',
  adapter: { name: 'test', isSoftware: true },
  models: [],
  kernels: 'any',
  running: 0,
  jobsDone: 0,
  jobsFailed: 0,
  earnedMicroUsd: '0',
  unacknowledged: 0,
  lastJobs: [],
  lastFailure: null,
  welcome: null,
  evidence: [],
}

function createReport() {
  const lines: Record<string, unknown>[] = []
  const log = createLog({ write: (line) => lines.push(JSON.parse(line) as (typeof lines)[number]) })
  return { lines, report: createStateReport(log) }
}

test('a thousand jobs write no line of their own, and one line a minute sums them up', () => {
  const { lines, report } = createReport()
  report.onState(IDLE)
  for (let job = 1; job <= 1_000; job += 1) {
    report.onState({ ...IDLE, running: 1, jobsDone: job - 1 })
    report.onState({ ...IDLE, jobsDone: job, earnedMicroUsd: String(job * 7) })
  }
  expect(lines.map(({ event }) => event)).toEqual(['node.changed'])
  report.summarize()
  report.summarize()
  expect(lines.slice(1)).toMatchObject([
    { event: 'node.worked', done: 1_000, failed: 0, jobsDone: 1_000, earnedMicroUsd: '7000' },
  ])
  report.onState({ ...IDLE, jobsDone: 1_001, jobsFailed: 2 })
  report.summarize()
  expect(lines[2]).toMatchObject({ event: 'node.worked', done: 1, failed: 2 })
})

test('a change of the phase or of its reason is written at once', () => {
  const { lines, report } = createReport()
  report.onState(IDLE)
  report.onState({ ...IDLE, running: 1 })
  report.onState({ ...IDLE, phase: 'waiting', detail: 'The hub is gone.' })
  expect(lines).toMatchObject([
    { phase: 'online' },
    { phase: 'waiting', detail: 'The hub is gone.' },
  ])
})
