/** Asks the Worker for admission and the hub to dial: `POST /v1/nodes/admission`. */
import { multiaddr, type Multiaddr } from '@multiformats/multiaddr'
import { AdmissionReply } from '#shared/api/network.ts'
import { ProblemReply } from '#shared/api/problem.ts'
import { AppError, factsOf } from '#shared/base/errors.ts'
import { LIMITS } from '#shared/base/limits.ts'

const Hubs = AdmissionReply.pick({ hubs: true, anchors: true })
const Problem = ProblemReply.pick({ code: true, detail: true })
const DETAIL_CHARACTERS = 4096

export interface LocateOptions {
  readonly origin: string
  readonly nodeId: string
  readonly claim: string
  /** The hub that serves the node now; anchors send it what they measure. */
  readonly hub?: string | undefined
  /** API key with scope `node`: makes this a verified node. */
  readonly key?: string | undefined
  /** Country that a development Worker is told to assume; production Workers ignore it. */
  readonly simulatedPlace?: string | null | undefined
}

/** @throws {AppError} the Worker's own code, or no_capacity when it cannot be reached or understood */
export async function locateHub(options: LocateOptions, signal: AbortSignal): Promise<Multiaddr> {
  const [hub] = (await askAdmission(options, signal))?.hubs ?? []
  if (hub === undefined)
    throw new AppError('no_capacity', "The network's reply is not an admission.")
  return toAddress(hub, options)
}

/** Addresses where the node can be measured, with tokens for that alone. @throws {AppError} as {@link locateHub} */
export async function locateAnchors(
  options: LocateOptions,
  signal: AbortSignal,
): Promise<Multiaddr[]> {
  const { anchors } = (await askAdmission(options, signal)) ?? { anchors: [] }
  return anchors.map((anchor) => toAddress(anchor, options))
}

function toAddress(address: string, { simulatedPlace }: LocateOptions): Multiaddr {
  return multiaddr(simulatedPlace == null ? address : withSimulatedPlace(address, simulatedPlace))
}

async function askAdmission(options: LocateOptions, signal: AbortSignal) {
  const { origin, nodeId, claim, hub, key, simulatedPlace } = options
  const headers: Record<string, string> = { 'content-type': 'application/json' }
  if (key !== undefined) headers.authorization = `Bearer ${key}`
  if (simulatedPlace != null) headers['x-littoral-simulated-place'] = simulatedPlace
  const response = await fetch(new URL('/v1/nodes/admission', origin), {
    method: 'POST',
    headers,
    body: JSON.stringify({ claim, nodeId, hub }),
    signal: AbortSignal.any([signal, AbortSignal.timeout(LIMITS.openTimeoutMs)]),
  }).catch((cause: unknown) => {
    signal.throwIfAborted()
    throw new AppError('no_capacity', 'The network could not be reached.', { cause })
  })
  const reply: unknown = await response.json().catch(() => undefined)
  if (!response.ok) throw refusal(response, reply)
  return Hubs.safeParse(reply).data
}

/** A WebSocket upgrade cannot carry headers, so the simulated place goes into the path's query. */
function withSimulatedPlace(address: string, place: string): string {
  return address.replace(/\/http-path\/([^/]+)/, (_, encoded: string) => {
    const path = decodeURIComponent(encoded)
    const joint = path.includes('?') ? '&' : '?'
    return `/http-path/${encodeURIComponent(`${path}${joint}simulated_place=${place}`)}`
  })
}

function refusal({ status, headers }: Response, reply: unknown): AppError {
  const problem = Problem.safeParse(reply).data
  if (problem !== undefined)
    return new AppError(problem.code, problem.detail.slice(0, DETAIL_CHARACTERS), {
      meta: factsOf(problem.code, { retryAfterSeconds: Number(headers.get('retry-after')) || 0 }),
    })
  return new AppError('no_capacity', `The network refused admission with HTTP status ${status}.`)
}
