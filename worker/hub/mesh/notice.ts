/** Notices between hubs: their nodes, and measurements of each other's nodes. Signed with the hub's key. */
import { sha256, stringToBytes } from 'viem'
import { z } from 'zod'
import { SignedEcho } from '#shared/place/evidence.ts'
import { Bytes32, NodeId, Signature } from '#shared/base/ids.ts'
import { FeatureName } from '#shared/job/job.ts'
import { LIMITS, KIB } from '#shared/base/limits.ts'
import { NetworkId } from '#shared/law/policy.ts'
import { Place } from '#shared/receipt/receipt.ts'
import { verifySignature, type PublicKey, type Signer } from '#shared/proof/signature.ts'

/** One message from another hub. */
export const HUB_NOTICE_BYTES = 32 * KIB

/** A node of another hub, with all that the filter needs. */
export const RemoteNode = z.strictObject({
  nodeId: NodeId,
  place: Place,
  networks: z.array(NetworkId).max(LIMITS.keyNetworks),
  isQuarantined: z.boolean(),
  models: z
    .array(z.strictObject({ id: z.string().max(64), digest: Bytes32 }))
    .max(LIMITS.presenceModels),
  loadable: z.array(Bytes32).max(LIMITS.presenceModels),
  kernels: z.union([z.literal('any'), z.array(Bytes32).max(64)]),
  features: z.array(FeatureName).max(LIMITS.kernelFeatures).optional(),
})
export type RemoteNode = z.infer<typeof RemoteNode>

const from = { hub: z.string().max(64), sentAtMs: z.int().min(0) }

export const HubNotice = z.discriminatedUnion('kind', [
  z.strictObject({ kind: z.literal('node'), ...from, node: RemoteNode }),
  z.strictObject({ kind: z.literal('left'), ...from, nodeId: NodeId }),
  z.strictObject({ kind: z.literal('echo'), ...from, echo: SignedEcho }),
])
export type HubNotice = z.infer<typeof HubNotice>

const SignedNotice = z.strictObject({
  notice: z.string().max(HUB_NOTICE_BYTES),
  signature: Signature,
})

/** Hubs publish and subscribe. A node's message on this topic is ignored, since it has no hub's key. */
export const HUBS_TOPIC = '/littoral/hubs/1.0.0'

export async function packNotice(notice: HubNotice, signer: Signer): Promise<Uint8Array> {
  const text = JSON.stringify(notice)
  const signature = await signer.sign(digestOf(text))
  return stringToBytes(JSON.stringify({ notice: text, signature }))
}

/**
 * @param keyOf the key of a hub of this deployment
 * @returns undefined for a notice that no hub of ours has signed, or that is malformed, too large or too old
 */
export async function readNotice(
  bytes: Uint8Array,
  { keyOf, nowMs }: { keyOf: (hub: string) => Promise<PublicKey | undefined>; nowMs: number },
): Promise<HubNotice | undefined> {
  if (bytes.byteLength > HUB_NOTICE_BYTES) return undefined
  const signed = SignedNotice.safeParse(parseJson(new TextDecoder().decode(bytes))).data
  if (signed === undefined) return undefined
  const notice = HubNotice.safeParse(parseJson(signed.notice)).data
  if (notice === undefined || Math.abs(nowMs - notice.sentAtMs) > LIMITS.clockSkewMs)
    return undefined
  const key = await keyOf(notice.hub)
  if (key === undefined) return undefined
  return (await verifySignature(key, digestOf(signed.notice), signed.signature))
    ? notice
    : undefined
}

function digestOf(text: string): Bytes32 {
  return sha256(stringToBytes(`littoral hub notice 1\n${text}`))
}

function parseJson(text: string): unknown {
  try {
    return JSON.parse(text)
  } catch {
    return undefined
  }
}
