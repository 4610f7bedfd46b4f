/** Asks the operator for a hub to dial: `POST /v1/nodes/admission`. */
import { multiaddr, type Multiaddr } from '@multiformats/multiaddr'
import { z } from 'zod'
import { AppError, errorCode } from '#shared/errors.ts'
import { LIMITS } from '#shared/limits.ts'

const AdmissionReply = z.object({
  token: z.string(),
  expiresAtMs: z.int(),
  /** Nearest first; the token stands in each address's path. */
  hubs: z.array(z.string().max(1024)).min(1).max(16),
})

const ProblemReply = z.object({ code: z.string(), detail: z.string().max(4096) })

export interface AdmissionRequest {
  readonly origin: string
  readonly nodeId: string
  /** Alpha-2 code of the country that the node claims to stand in. */
  readonly claim: string
  /** A made-up place for development, or null. */
  readonly simulatedPlace: string | null
  readonly fetch: typeof fetch
}

/** @throws {AppError} the server's own code, or no_capacity when it cannot be reached or understood */
export async function locateHub(
  request: AdmissionRequest,
  signal: AbortSignal,
): Promise<Multiaddr> {
  const { origin, nodeId, claim, simulatedPlace } = request
  const place: Record<string, string> =
    simulatedPlace === null ? {} : { 'x-littoral-simulated-place': simulatedPlace }
  let response: Response
  try {
    response = await request.fetch(`${origin}/v1/nodes/admission`, {
      method: 'POST',
      headers: { 'content-type': 'application/json', ...place },
      body: JSON.stringify({ claim, nodeId }),
      signal: AbortSignal.any([signal, AbortSignal.timeout(LIMITS.openTimeoutMs)]),
    })
  } catch (cause) {
    signal.throwIfAborted()
    throw new AppError('no_capacity', 'The network could not be reached.', { cause })
  }
  const reply: unknown = await response.json().catch(() => undefined)
  if (!response.ok) throw refusal(response.status, reply)
  const admission = AdmissionReply.safeParse(reply)
  const [hub] = admission.data?.hubs ?? []
  if (hub === undefined)
    throw new AppError('no_capacity', 'The network answered with something that is no admission.')
  return simulatedPlace === null
    ? multiaddr(hub)
    : multiaddr(withSimulatedPlace(hub, simulatedPlace))
}

/** The WebSocket upgrade can carry no header, so the made-up place stands in the query of the path. */
export function withSimulatedPlace(address: string, place: string): string {
  return address.replace(/\/http-path\/([^/]+)/, (_, encoded: string) => {
    const path = decodeURIComponent(encoded)
    const joint = path.includes('?') ? '&' : '?'
    return `/http-path/${encodeURIComponent(`${path}${joint}simulated_place=${place}`)}`
  })
}

function refusal(status: number, reply: unknown): AppError {
  const problem = ProblemReply.safeParse(reply)
  const code = errorCode(problem.data)
  if (problem.data !== undefined && code !== undefined)
    return new AppError(code, problem.data.detail)
  return new AppError('no_capacity', `The network refused admission with HTTP status ${status}.`)
}
