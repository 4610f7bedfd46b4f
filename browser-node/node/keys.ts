/** The keys of this browser's node, created at the first start and then kept. */
import type { PrivateKey } from '@libp2p/interface'
import { identityFromBytes, identityToBytes, newIdentity } from '#p2p/peers/identity.ts'
import {
  createSigner,
  generateSigningKey,
  type Signer,
  type SigningKeyPair,
} from '#shared/proof/signature.ts'
import type { NodeStorage } from './storage.ts'

export interface NodeKeys {
  readonly identity: PrivateKey
  readonly signer: Signer
  readonly pair: SigningKeyPair
}

/** @throws {AppError} invalid_request when the stored identity is damaged; a new one would lose its reputation silently */
export async function openKeys(storage: NodeStorage): Promise<NodeKeys> {
  const bytes = await storage.readIdentity()
  const identity = bytes && identityFromBytes(bytes)
  const kept = await storage.readReceiptKey()
  // Exportable, because the owner may save the key to a file.
  const pair = kept ?? (await generateSigningKey(true))
  const keys = {
    identity: identity ?? (await newIdentity()),
    pair,
    signer: await createSigner(pair),
  }
  if (identity === undefined || kept === undefined) await keepKeys(storage, keys)
  return keys
}

export async function keepKeys(
  storage: NodeStorage,
  { identity, pair }: Pick<NodeKeys, 'identity' | 'pair'>,
): Promise<void> {
  await storage.keep('identity', identityToBytes(identity))
  await storage.keep('receiptKey', pair)
}
