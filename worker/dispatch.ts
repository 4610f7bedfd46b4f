/** From the Worker to a node and back: which hubs may take a job, and the call to them. */
import { AppError, type WireError } from '#shared/errors.ts'
import { LIMITS } from '#shared/limits.ts'
import type { CompiledPolicy } from '#shared/policy.ts'
import type { Config, HubConfig, WorkerEnv } from './config.ts'
import { canStore, openHub } from './durable-objects.ts'
import { DispatchOutcome, type DispatchRequest, type DispatchResult } from './hub/protocol.ts'

/** Errors after which another hub may still have a node that this policy allows. */
const TRY_NEXT_HUB: readonly string[] = ['no_capacity', 'residency_unsatisfiable']

/** The hubs that may hold a job of this policy, nearest first: a hub keeps receipts, so it must stand where they may be kept. */
export function eligibleHubs(
  policy: CompiledPolicy,
  config: Pick<Config, 'hubs' | 'deployment'>,
): HubConfig[] {
  return config.hubs.filter((hub) => canStore(policy.storage, hub.jurisdiction, config))
}

/**
 * Sends a job to the hubs in turn until one answers. Every hub applies the same policy: trying the next never widens it.
 * @throws {AppError} the hub's error; no_capacity rather than residency_unsatisfiable where hubs disagree
 */
export async function dispatch(
  target: { readonly env: Pick<WorkerEnv, 'HUB'>; readonly config: Config },
  job: { readonly request: DispatchRequest; readonly payload: Uint8Array },
  signal: AbortSignal,
): Promise<DispatchResult> {
  const hubs = eligibleHubs(job.request.policy, target.config)
  if (hubs.length === 0) {
    throw new AppError(
      'residency_unsatisfiable',
      `No hub keeps records in ${job.request.policy.storage}.`,
      { meta: { rule: 'storage.jurisdiction' } },
    )
  }
  const body = encodeDispatch(job.request, job.payload)
  let failure: AppError | undefined
  for (const hub of hubs) {
    const result = await callHub(openHub(target.env, hub, target.config), body, signal)
    if (!('code' in result)) return result
    const error = new AppError(result.code, result.detail, { meta: result.meta ?? {} })
    if (!TRY_NEXT_HUB.includes(error.code)) throw error
    if (failure?.code !== 'no_capacity') failure = error
  }
  throw failure ?? new AppError('no_capacity', 'No hub answered.')
}

async function callHub(
  hub: { fetch(request: Request): Promise<Response> },
  body: Uint8Array<ArrayBuffer>,
  signal: AbortSignal,
): Promise<DispatchResult | WireError> {
  const request = new Request('http://hub/dispatch', {
    method: 'POST',
    body,
    signal: AbortSignal.any([signal, AbortSignal.timeout(LIMITS.requestTimeoutMs)]),
  })
  try {
    const response = await hub.fetch(request)
    if (!response.ok) return (await response.json()) as WireError
    return decodeResult(new Uint8Array(await response.arrayBuffer()))
  } catch (cause) {
    if (signal.aborted) throw new AppError('cancelled', 'The caller went away.', { cause })
    const isLate = request.signal.aborted
    throw new AppError(
      isLate ? 'node_timeout' : 'node_lost',
      isLate ? 'No answer came in time.' : 'The hub was lost during the job.',
      { cause },
    )
  }
}

/** uint32 big-endian length of the JSON, the JSON, the payload. */
export function encodeDispatch(
  request: DispatchRequest,
  payload: Uint8Array,
): Uint8Array<ArrayBuffer> {
  const header = new TextEncoder().encode(JSON.stringify(request))
  const body = new Uint8Array(4 + header.length + payload.length)
  new DataView(body.buffer).setUint32(0, header.length)
  body.set(header, 4)
  body.set(payload, 4 + header.length)
  return body
}

export function decodeResult(body: Uint8Array): DispatchResult {
  const headerBytes = new DataView(body.buffer, body.byteOffset, body.byteLength).getUint32(0)
  const header = new TextDecoder().decode(body.subarray(4, 4 + headerBytes))
  return {
    outcome: DispatchOutcome.parse(JSON.parse(header)),
    payload: body.subarray(4 + headerBytes),
  }
}
