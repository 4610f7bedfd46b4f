/** The keys of this browser's node, made at its first start and kept from then on. */
import type { PrivateKey } from '@libp2p/interface'
import { identityFromBytes, identityToBytes, newIdentity } from '#p2p/identity.ts'
import { createSigner, generateSigningKey, type Signer } from '#shared/signature.ts'
import type { NodeStorage } from './storage.ts'

export interface NodeKeys {
  readonly identity: PrivateKey
  readonly signer: Signer
}

/** @throws {AppError} invalid_request when the stored identity is damaged; a new one would lose its reputation silently */
export async function openKeys(storage: NodeStorage): Promise<NodeKeys> {
  return { identity: await openIdentity(storage), signer: await openSigner(storage) }
}

async function openIdentity(storage: NodeStorage): Promise<PrivateKey> {
  const kept = await storage.readIdentity()
  if (kept !== undefined) return identityFromBytes(kept)
  const identity = await newIdentity()
  await storage.keep('identity', identityToBytes(identity))
  return identity
}

async function openSigner(storage: NodeStorage): Promise<Signer> {
  const kept = await storage.readReceiptKey()
  if (kept !== undefined) return await createSigner(kept)
  const keys = await generateSigningKey(false)
  await storage.keep('receiptKey', keys)
  return await createSigner(keys)
}
