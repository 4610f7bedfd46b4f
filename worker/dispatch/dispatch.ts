/** Chooses the hubs that may take a job, and sends it to them. */
import { COMPUTE_RULES } from '#shared/law/decide.ts'
import { BoundedMap } from '#shared/base/bounded-map.ts'
import { AppError, errorCode } from '#shared/base/errors.ts'
import { createRequestTimer, type RequestTimer } from '#p2p/stream/request-timer.ts'
import { openHub } from '#worker/protocols/durable-objects.ts'
import {
  DISPATCH_URL,
  packDispatch,
  POLICY_UNKNOWN,
  readOutcome,
  throwRefusal,
} from '#worker/protocols/envelope.ts'
import { refusalOf, type HubRefusal } from '#worker/protocols/steering.ts'
import { chooseHubs } from '#worker/summary/choose-hub.ts'
import type { HubName } from '#worker/summary/hub-region.ts'
import { readStream, type StreamedAnswer } from '#worker/protocols/stream-envelope.ts'
import type { DispatchRequest, DispatchResult } from '#worker/protocols/hub.ts'
import { hubsForJob, hubsKnown, requireHubs, type Deployment } from './hubs.ts'

/** A hub ends each job in time itself. One that is silent for this much longer is given up. */
export const HUB_GRACE_MS = 1_000

interface Job {
  readonly request: DispatchRequest
  readonly payload: Uint8Array
}

/**
 * Sends a job to the hubs in turn until one answers. Every hub applies the same policy, so trying
 * the next never widens it.
 * @throws {AppError} the hub's error; no_capacity rather than residency_unsatisfiable where a hub
 * had an allowed node
 */
export function dispatch(
  target: Deployment,
  job: Job,
  signal: AbortSignal,
): Promise<DispatchResult> {
  return tryHubs(target, job, { signal, read: readOutcome })
}

/**
 * Like {@link dispatch}, but streams the answer.
 * @throws {AppError} for a failure before the first byte; the chunks throw later ones
 */
export function dispatchStream(
  target: Deployment,
  job: Job,
  signal: AbortSignal,
): Promise<StreamedAnswer> {
  return tryHubs(target, job, { signal, read: openStream })
}

async function openStream(response: Response): Promise<StreamedAnswer> {
  await throwRefusal(response)
  if (response.body === null) throw new AppError('node_lost', 'The hub sent an empty answer.')
  return readStream(response.body)
}

async function tryHubs<T>(
  target: Deployment,
  { request, payload }: Job,
  call: Pick<HubCall<T>, 'signal' | 'read'>,
): Promise<T> {
  const { config, order, timer } = target
  const startedMs = performance.now()
  const done = new Set<string>()
  const table = hubsKnown(target) ?? (await hubsForJob(target))
  let failure: HubRefusal | undefined
  for (const { hub, warmOnly } of chooseHubs(table, request, { random: Math.random, order })) {
    if (done.has(hub.name)) continue
    // All hubs share one timeout: a client that retries later must find the request ended.
    const timeoutMs = Math.floor(request.timeoutMs - (performance.now() - startedMs))
    if (timeoutMs < 1) break
    try {
      const job = { request: { ...request, timeoutMs, warmOnly }, payload }
      return await sendJob(target, hub, job, { ...call, timeoutMs, timer })
    } catch (error) {
      const refusal = refusalOf(error)
      if (!refusal.steering.mayAskElsewhere) throw refusal
      if (!warmOnly || refusal.code === 'residency_unsatisfiable' || lacksFeatures(refusal))
        done.add(hub.name)
      failure = nearer(failure, refusal)
    }
  }
  if (failure !== undefined) throw failure
  requireHubs(request.policy, config)
  throw new AppError('no_capacity', 'No hub answered.')
}

/**
 * Chooses the refusal to report: lost node, busy nodes, missing feature, then the rule that nodes
 * passed furthest. A hub without nodes says nothing about places.
 */
function nearer(before: HubRefusal | undefined, refusal: HubRefusal): HubRefusal {
  if (before === undefined || before.steering.hasNoNodes) return refusal
  if (refusal.steering.hasNoNodes) return before
  for (const isNearest of [isLost, isBusy, lacksFeatures]) {
    if (isNearest(before)) return before
    if (isNearest(refusal)) return refusal
  }
  return rank(refusal) > rank(before) ? refusal : before
}

const isLost = ({ code }: HubRefusal): boolean => code === 'node_lost'
const isBusy = (refusal: HubRefusal): boolean =>
  refusal.code === 'no_capacity' && !lacksFeatures(refusal)

function lacksFeatures({ steering }: HubRefusal): boolean {
  return steering.lacksFeatures
}

function rank({ meta }: AppError): number {
  return COMPUTE_RULES.findIndex((rule) => rule === meta.rule)
}

interface HubStub {
  fetch(request: Request): Promise<Response>
}

interface HubCall<T> {
  readonly signal: AbortSignal
  readonly read: (response: Response) => Promise<T>
  /** The job's time. */
  readonly timeoutMs: number
  readonly timer: RequestTimer | undefined
}

/** Hubs and the policies that they have: a policy is sent to a hub once, then named by its hash. */
const told = new BoundedMap<string, true>(4_096)

async function sendJob<T>(
  { env, config }: Deployment,
  hub: HubName,
  { request, payload }: Job,
  call: HubCall<T>,
): Promise<T> {
  const startedMs = performance.now()
  const key = `${hub.name} ${request.policy.hash}`
  const isPolicyKnown = told.has(key)
  const stub = openHub(env, hub, config)
  const answer = await callHub(stub, packDispatch(request, payload, { isPolicyKnown }), call)
  if (answer !== UNKNOWN_POLICY) {
    if (!isPolicyKnown) told.set(key, true)
    return answer
  }
  if (!isPolicyKnown)
    throw new AppError('internal', 'The hub did not take the policy that it asked for.')
  told.delete(key)
  const timeoutMs = Math.floor(call.timeoutMs - (performance.now() - startedMs))
  if (timeoutMs < 1) throw new AppError('node_timeout', 'No answer came in time.')
  const left = { request: { ...request, timeoutMs }, payload }
  return sendJob({ env, config }, hub, left, { ...call, timeoutMs })
}

const UNKNOWN_POLICY: unique symbol = Symbol('the hub does not have the policy')

async function callHub<T>(
  hub: HubStub,
  body: Uint8Array<ArrayBuffer>,
  { signal, read, timeoutMs, timer: given }: HubCall<T>,
): Promise<T | typeof UNKNOWN_POLICY> {
  const late = Promise.withResolvers<never>()
  const giveUp = () => late.reject(new AppError('node_timeout', 'No answer came in time.'))
  const timer = given ?? createRequestTimer()
  const stop = timer.start(timeoutMs + HUB_GRACE_MS, giveUp)
  const readKnown = async (response: Response): Promise<T | typeof UNKNOWN_POLICY> =>
    response.status === POLICY_UNKNOWN ? UNKNOWN_POLICY : await read(response)
  const request = new Request(DISPATCH_URL, { method: 'POST', body, signal })
  try {
    return await Promise.race([hub.fetch(request).then(readKnown), late.promise])
  } catch (cause) {
    if (errorCode(cause) !== undefined) throw cause
    if (signal.aborted) throw new AppError('cancelled', 'The caller went away.', { cause })
    throw new AppError('node_lost', 'The hub was lost during the job.', { cause })
  } finally {
    stop()
    if (given === undefined) timer.end()
  }
}
