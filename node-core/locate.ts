/** Asks the Worker to be let in, and says where the hub is. */
import { multiaddr, type Multiaddr } from '@multiformats/multiaddr'
import { z } from 'zod'
import { AppError, errorCode } from '#shared/errors.ts'
import { LIMITS } from '#shared/limits.ts'

const AdmissionAnswer = z.looseObject({ token: z.string(), hubs: z.array(z.string()).min(1) })

export interface LocateOptions {
  /** The Worker's origin. */
  readonly origin: string
  readonly nodeId: string
  readonly claim: string
  /** API key with scope `node`. */
  readonly key?: string | undefined
  /** Country that a development Worker is told to see; production Workers ignore it. */
  readonly simulatedPlace?: string | undefined
}

/** @throws {AppError} what the Worker refused with; node_lost when it cannot be reached */
export async function locateHub(options: LocateOptions, signal: AbortSignal): Promise<Multiaddr> {
  const { origin, nodeId, claim, key, simulatedPlace } = options
  const headers: Record<string, string> = { 'content-type': 'application/json' }
  if (key !== undefined) headers.authorization = `Bearer ${key}`
  if (simulatedPlace !== undefined) headers['x-littoral-simulated-place'] = simulatedPlace
  const response = await fetch(new URL('/v1/nodes/admission', origin), {
    method: 'POST',
    headers,
    body: JSON.stringify({ nodeId, claim }),
    signal: AbortSignal.any([signal, AbortSignal.timeout(LIMITS.openTimeoutMs)]),
  }).catch((cause: unknown) => {
    throw new AppError('node_lost', `${origin} does not answer.`, { cause })
  })
  const body: unknown = await response.json().catch(() => ({}))
  if (!response.ok)
    throw new AppError(
      errorCode(body) ?? 'internal',
      detailOf(body) ?? `${origin} answered ${response.status}.`,
    )
  const { hubs } = AdmissionAnswer.parse(body)
  return multiaddr(withSimulatedPlace(hubs[0] ?? '', simulatedPlace))
}

/** The upgrade is observed anew, so the simulated place travels in the hub's path as well. */
function withSimulatedPlace(hub: string, place: string | undefined): string {
  if (place === undefined) return hub
  return hub.replace(/(\/http-path\/[^/]+)/, `$1${encodeURIComponent(`&simulated_place=${place}`)}`)
}

function detailOf(body: unknown): string | undefined {
  const parsed = z.looseObject({ detail: z.string() }).safeParse(body)
  return parsed.success ? parsed.data.detail : undefined
}
