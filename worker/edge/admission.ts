/**
 * Admission tokens. A node requests one over HTTP and presents it when it opens a WebSocket to a
 * hub. Without it the socket is refused before any libp2p handshake. A token is an HMAC-SHA256 over
 * a short JSON body. It names one node and the hubs that the node may dial, works for one socket, and
 * lives a minute. A hub is made when it is first called, so a token for any hub would let a stranger make all of them.
 */
import { z } from 'zod'
import { AppError } from '#shared/base/errors.ts'
import { NodeId, TenantId, type RandomBytes } from '#shared/base/ids.ts'
import { LIMITS } from '#shared/base/limits.ts'
import { CountryCode } from '#shared/node/node.ts'
import { NetworkId, NODE_TRUSTS } from '#shared/law/policy.ts'
import { equalText } from '#worker/platform/constant-time.ts'
import { fromBase64Url, toBase64Url } from '#shared/base/base64.ts'
import { macOf } from '#worker/platform/mac.ts'

export const ADMISSION_TTL_MS = 60_000

export const AdmissionRequest = z.strictObject({
  nodeId: NodeId,
  claim: CountryCode,
  /** The hub that serves the node now. Anchors send it what they measure. */
  hub: z.string().max(64).optional(),
})

/** `measure` lets an anchor measure the node, but admits no jobs. */
const ADMISSION_PURPOSES = ['work', 'measure'] as const

const Voucher = z.strictObject({ tenant: TenantId, keyId: z.string().max(64) })

export const AdmissionClaims = AdmissionRequest.extend({
  purpose: z.enum(ADMISSION_PURPOSES),
  /** The hubs that admit the node, with their peer ids. A full hub sends the node to the one after itself. */
  hubs: z.record(z.string().max(64), NodeId),
  trust: z.enum(NODE_TRUSTS),
  /** The node's consortia, from the vouching key. */
  networks: z.array(NetworkId).max(LIMITS.keyNetworks),
  /** The vouching key; trust and networks end with it. */
  voucher: Voucher.nullable(),
  expiresAtMs: z.int(),
  /** Names the token, which is valid for one socket until it expires. */
  nonce: z.string().min(1).max(64),
})
export type AdmissionClaims = z.infer<typeof AdmissionClaims>

export interface AdmissionGrant {
  readonly token: string
  readonly expiresAtMs: number
}

export async function signAdmission(
  node: Pick<AdmissionClaims, 'nodeId' | 'claim' | 'trust' | 'hubs'> &
    Partial<Pick<AdmissionClaims, 'networks' | 'voucher' | 'purpose' | 'hub'>>,
  deps: { readonly secret: string; readonly nowMs: number; readonly random: RandomBytes },
): Promise<AdmissionGrant> {
  const expiresAtMs = deps.nowMs + ADMISSION_TTL_MS
  const claims = {
    networks: [],
    voucher: null,
    purpose: 'work',
    ...node,
    expiresAtMs,
    nonce: toBase64Url(deps.random(12)),
  }
  const body = toBase64Url(new TextEncoder().encode(JSON.stringify(claims)))
  return { token: `${body}.${await mac(body, deps.secret)}`, expiresAtMs }
}

/** @throws {AppError} forbidden for a foreign, modified or expired token, or one that does not name this hub */
export async function verifyAdmission(
  token: string,
  at: { readonly secret: string; readonly nowMs: number; readonly hub: string },
): Promise<AdmissionClaims> {
  const refuse = (why: string) => new AppError('forbidden', `The admission token ${why}.`)
  const [body, signature, ...rest] = token.split('.')
  if (body === undefined || signature === undefined || rest.length > 0 || token.length > 2048) {
    throw refuse('is malformed')
  }
  if (!equalText(signature, await mac(body, at.secret))) throw refuse('is not one of ours')
  const bytes = fromBase64Url(body)
  const claims = AdmissionClaims.parse(JSON.parse(new TextDecoder().decode(bytes)))
  if (claims.expiresAtMs < at.nowMs) throw refuse('has expired; ask for a new one')
  if (!Object.hasOwn(claims.hubs, at.hub)) throw refuse(`is not for hub ${at.hub}`)
  return claims
}

async function mac(body: string, secret: string): Promise<string> {
  return toBase64Url(await macOf(body, secret))
}
