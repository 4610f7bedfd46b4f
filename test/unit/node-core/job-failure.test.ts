/** A failed job is the fault of its customer or of its node. */
import { expect, test } from 'vitest'
import { failureOf } from '#node-core/job-failure.ts'
import { withJobDone, withJobFailed, type NodeState } from '#node-core/node-state.ts'
import { AppError, ERRORS, type ErrorCode } from '#shared/base/errors.ts'
import { BUDGET_RULE } from '#shared/kernels/rules.ts'
import { describeFailure } from '../../../browser-node/ui/failure.ts'

/** The part of a node's state that jobs change. */
const STATE = {
  jobsDone: 0,
  jobsFailed: 0,
  earnedMicroUsd: '0',
  unacknowledged: 0,
  lastJobs: [],
  lastFailure: null,
} as Partial<NodeState> as NodeState
const DONE = {
  jobId: 'j',
  work: 'kernel',
  provider: 'webgpu',
  computeMs: 1,
  amountMicroUsd: '7',
  finishedAtMs: 1,
}

test('a bad request is the customer’s fault, and what the device could not do is the node’s', () => {
  const whose = (code: ErrorCode) => failureOf(new AppError(code, 'x')).whose
  for (const code of ['invalid_request', 'too_large', 'cancelled', 'forbidden'] as const)
    expect(whose(code)).toBe('customer')
  for (const code of [
    'internal',
    'node_lost',
    'node_timeout',
    'no_capacity',
    'file_corrupt',
  ] as const)
    expect(whose(code)).toBe('node')
  for (const code of Object.keys(ERRORS) as ErrorCode[])
    expect(['customer', 'node']).toContain(whose(code))
})

test('[C4] the next successful job clears the failure that a node shows', () => {
  const failed = withJobFailed(STATE, new AppError('node_lost', 'The GPU was lost.'))
  expect(failed).toMatchObject({ jobsFailed: 1, lastFailure: { whose: 'node', code: 'node_lost' } })
  expect(withJobDone(failed, DONE)).toMatchObject({
    jobsFailed: 1,
    jobsDone: 1,
    lastFailure: null,
    earnedMicroUsd: '7',
  })
})

test('[C4] a kernel over its budget is shown as the customer’s fault, not the device’s', () => {
  const over = new AppError('no_capacity', 'line 3: too much', { meta: { rule: BUDGET_RULE } })
  const { jobsFailed, lastFailure } = withJobFailed(STATE, over)
  expect([jobsFailed, lastFailure?.whose]).toEqual([0, 'customer'])
  expect(lastFailure === null ? '' : describeFailure(lastFailure)).toBe(
    'The last job ended without an answer: it needed more than this device allows one kernel. Nothing is wrong with this device.',
  )
})
