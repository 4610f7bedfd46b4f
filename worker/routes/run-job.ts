/** The one way from a parsed request to a node's answer, whatever API it came by. */
import { newJobId, type JobId } from '#shared/ids.ts'
import type { Work } from '#shared/job.ts'
import { LIMITS } from '#shared/limits.ts'
import { countryCode } from '#shared/region.ts'
import type { AppContext } from '../context.ts'
import { dispatch } from '../dispatch.ts'
import type { ResidencyChoice } from '../formats/residency.ts'
import type { DispatchOutcome, DispatchResult } from '../hub/protocol.ts'
import { chooseResidency } from '../middleware/residency.ts'

export interface PricedWork {
  readonly work: Work
  readonly payload: Uint8Array
  readonly units: number
  readonly priceMicroUsd: number
}

export interface JobResult extends DispatchResult {
  readonly jobId: JobId
}

/** Dispatches under the caller's policy, and sets the headers that tell what came of it. */
export async function runJob(
  c: AppContext,
  { work, payload, units, priceMicroUsd }: PricedWork,
  choice: ResidencyChoice,
): Promise<JobResult> {
  const { config, requestId, isolate, caller } = c.var
  const { policy, allowed } = await chooseResidency(c, choice)
  const jobId = newJobId(isolate.random)
  const request = {
    requestId,
    jobId,
    tenant: caller.tenant,
    consumer: caller.snapshot.consumer,
    policy,
    allowed,
    work,
    units,
    priceMicroUsd,
    timeoutMs: LIMITS.jobTimeoutMs,
    stream: false,
    nodeId: null,
    traceparent: null,
  }
  const result = await dispatch({ env: c.env, config }, { request, payload }, c.req.raw.signal)
  c.set('timing', result.outcome.timing)
  for (const [name, value] of Object.entries(outcomeHeaders(result.outcome))) c.header(name, value)
  isolate.log.info('job.answered', { requestId, jobId, nodeId: result.outcome.nodeId, units })
  return { ...result, jobId }
}

/** Who answered, where, and on what evidence. */
export function outcomeHeaders(outcome: DispatchOutcome): Record<string, string> {
  const { place, answer } = outcome
  const adapter = answer.adapter.isSoftware
    ? `${answer.adapter.name}; software`
    : answer.adapter.name
  return {
    'x-littoral-node': outcome.nodeId,
    'x-littoral-region': countryCode(place.country),
    'x-littoral-evidence': `${place.evidence}; source=${place.source}`,
    'x-littoral-receipt': outcome.receiptId,
    'x-littoral-provider': answer.provider,
    // The node's own words: nothing that could end the header.
    'x-littoral-adapter': adapter.replace(/[^\x20-\x7e]/g, '?'),
  }
}
