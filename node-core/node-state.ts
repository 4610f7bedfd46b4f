/** The state that a node shows its owner, on a page or a terminal. */
import type { Adapter } from '#shared/job/job.ts'
import type { AdmittedModel } from '#shared/node/node.ts'
import type { Welcome } from '#p2p/stream/messages.ts'
import type { AppError } from '#shared/base/errors.ts'
import { failureOf, type JobFailure } from './job-failure.ts'

export type NodePhase = 'starting' | 'connecting' | 'online' | 'waiting' | 'paused' | 'stopped'

export interface JobSummary {
  readonly jobId: string
  /** Model id, or `kernel`. */
  readonly work: string
  readonly provider: string
  readonly computeMs: number
  readonly amountMicroUsd: string
  readonly finishedAtMs: number
}

export interface NodeState {
  readonly phase: NodePhase
  /** One sentence about the phase, e.g. why the node waits. */
  readonly detail: string
  readonly nodeId: string
  readonly claim: string
  readonly adapter: Adapter
  readonly models: readonly AdmittedModel[]
  readonly kernels: 'any' | number
  readonly running: number
  readonly jobsDone: number
  readonly jobsFailed: number
  /** Sum of the receipts signed since the start. */
  readonly earnedMicroUsd: string
  readonly unacknowledged: number
  readonly lastJobs: readonly JobSummary[]
  /** Failure of the last job; null after a success. */
  readonly lastFailure: JobFailure | null
  readonly welcome: Welcome | null
  /** The hub's reasons for the node's place. */
  readonly evidence: readonly string[]
}

const LAST_JOBS = 20

/** Counts a finished job. A success clears the last failure. */
export function withJobDone(state: NodeState, job: JobSummary): NodeState {
  const { jobsDone, earnedMicroUsd, lastJobs, unacknowledged } = state
  return {
    ...state,
    jobsDone: jobsDone + 1,
    lastFailure: null,
    unacknowledged: unacknowledged + 1,
    earnedMicroUsd: (BigInt(earnedMicroUsd) + BigInt(job.amountMicroUsd)).toString(),
    lastJobs: [job, ...lastJobs].slice(0, LAST_JOBS),
  }
}

export function withJobFailed(state: NodeState, error: AppError): NodeState {
  const lastFailure = failureOf(error)
  const isOurs = lastFailure.whose === 'node'
  return { ...state, jobsFailed: state.jobsFailed + (isOurs ? 1 : 0), lastFailure }
}

/** The node's state, changed only here, and shown to its owner after each change. */
export type OwnState = ReturnType<typeof createOwnState>

export function createOwnState(first: NodeState, onState: (state: NodeState) => void) {
  let state = first
  const show = (next: NodeState) => {
    state = next
    onState(state)
  }
  return {
    now: () => state,
    update: (change: Partial<NodeState>) => show({ ...state, ...change }),
    jobDone: (job: JobSummary) => show(withJobDone(state, job)),
    jobFailed: (error: AppError) => show(withJobFailed(state, error)),
  }
}
