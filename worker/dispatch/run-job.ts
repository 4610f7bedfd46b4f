/** Runs a priced job on a node under the caller's policy, for every API. */
import { AppError } from '#shared/base/errors.ts'
import type { JobId } from '#shared/base/ids.ts'
import type { Work } from '#shared/job/job.ts'
import { LIMITS } from '#shared/base/limits.ts'
import { countryCode } from '#shared/law/region.ts'
import { callerOf, type AppContext } from '#worker/gate/context.ts'
import { dispatch, dispatchStream } from './dispatch.ts'
import { deploymentOf, type Deployment } from './hubs.ts'
import type { ResidencyChoice } from '#worker/body/residency.ts'
import type {
  DispatchHead,
  DispatchOutcome,
  DispatchRequest,
  DispatchResult,
} from '#worker/protocols/hub.ts'
import { takeJobId } from '#worker/gate/idempotent.ts'
import { reserveForJob, type SpendReserve } from '#worker/gate/quota.ts'
import { chooseResidency } from '#worker/gate/residency.ts'

export interface PricedWork {
  readonly work: Work
  readonly payload: Uint8Array
  readonly units: number
  readonly priceMicroUsd: number
}

export interface AnsweredJob extends DispatchResult {
  readonly jobId: JobId
  /** Headers of the payload, in its order. */
  readonly outputs: DispatchOutcome['answer']['outputs']
}

/** A streaming answer; its receipt exists once `outcome` resolves. */
export interface StreamedJob {
  readonly jobId: JobId
  readonly nodeId: DispatchHead['nodeId']
  readonly place: DispatchHead['place']
  /** The answer's bytes. Leaving the loop early cancels the job on the node. */
  readonly chunks: AsyncIterable<Uint8Array>
  /** Settles once all chunks have been read. @throws {AppError} */
  readonly outcome: Promise<DispatchOutcome>
}

/** Runs a job and sets the response headers that describe the outcome. */
export async function runJob(
  c: AppContext,
  work: PricedWork,
  choice: ResidencyChoice,
): Promise<AnsweredJob> {
  const { request, spend, target } = await admitJob(c, work, { choice, stream: false })
  const result = await spend.settleWith(
    dispatch(target, { request, payload: work.payload }, c.req.raw.signal),
    ({ outcome }) => outcome.amountMicroUsd,
  )
  c.set('timing', result.outcome.timing)
  tell(c, outcomeHeaders(result.outcome))
  return { ...result, jobId: request.jobId, outputs: result.outcome.answer.outputs }
}

/** Runs a job whose answer is streamed. Headers name node and place, but no receipt yet. */
export async function streamJob(
  c: AppContext,
  work: PricedWork,
  choice: ResidencyChoice,
): Promise<StreamedJob> {
  const { request, spend, target } = await admitJob(c, work, { choice, stream: true })
  const { head, chunks, outcome } = await spend.orNothing(
    dispatchStream(target, { request, payload: work.payload }, c.req.raw.signal),
  )
  tell(c, placeHeaders(head))
  // The reader of the chunks sees a failure.
  spend.settleWith(outcome, (done) => done.amountMicroUsd).catch(() => {})
  return { jobId: request.jobId, ...head, chunks, outcome }
}

function tell(c: AppContext, headers: Readonly<Record<string, string>>): void {
  const answerHeaders = c.get('answerHeaders')
  for (const [name, value] of Object.entries(headers)) answerHeaders.set(name, value)
}

/** Turns a request into a job: policy, job id, and reserved money. */
async function admitJob(
  c: AppContext,
  { work, units, priceMicroUsd }: PricedWork,
  { choice, stream }: { readonly choice: ResidencyChoice; readonly stream: boolean },
): Promise<{ request: DispatchRequest; spend: SpendReserve; target: Deployment }> {
  const timeoutMs = timeLeft(c.get('deadlineMs'), performance.now() - c.get('startedMs'))
  const caller = callerOf(c)
  const { policy, allowed } = await chooseResidency(c, choice)
  const once = takeJobId(c)
  const spend = await reserveForJob(c, units * priceMicroUsd)
  const request: DispatchRequest = {
    requestId: c.get('requestId'),
    ...once,
    tenant: caller.tenant,
    consumer: caller.snapshot.consumer,
    policy,
    allowed,
    work,
    units,
    priceMicroUsd,
    timeoutMs,
    stream,
    nodeId: null,
    traceparent: c.get('traceparent'),
  }
  return {
    request,
    spend,
    target: deploymentOf(c),
  }
}

/** @throws {AppError} deadline_unmeetable when the deadline has passed */
function timeLeft(deadlineMs: number | undefined, spentMs: number): number {
  if (deadlineMs === undefined) return LIMITS.jobTimeoutMs
  const leftMs = Math.floor(deadlineMs - spentMs)
  if (leftMs >= 1) return Math.min(leftMs, LIMITS.jobTimeoutMs)
  throw new AppError(
    'deadline_unmeetable',
    `The deadline of ${deadlineMs} ms passed before the job could be sent to a node.`,
  )
}

export function outcomeHeaders(outcome: DispatchOutcome): Record<string, string> {
  const { answer } = outcome
  const adapter = answer.adapter.isSoftware
    ? `${answer.adapter.name}; software`
    : answer.adapter.name
  return {
    ...placeHeaders(outcome),
    'x-littoral-receipt': outcome.receiptId,
    'x-littoral-provider': answer.provider,
    // The node chose this text, so characters that could end the header are replaced.
    'x-littoral-adapter': adapter.replace(/[^\x20-\x7e]/g, '?'),
  }
}

function placeHeaders({ nodeId, place }: DispatchHead): Record<string, string> {
  return {
    'x-littoral-node': nodeId,
    'x-littoral-region': countryCode(place.country),
    'x-littoral-evidence': `${place.evidence}; source=${place.source}`,
  }
}
