/** Ed25519 identities of nodes and hubs, and their peer ids. */
import { generateKeyPair, privateKeyFromProtobuf, privateKeyToProtobuf } from '@libp2p/crypto/keys'
import type { PrivateKey } from '@libp2p/interface'
import { peerIdFromPrivateKey } from '@libp2p/peer-id'
import { AppError } from '#shared/base/errors.ts'
import { NodeId } from '#shared/base/ids.ts'

export function newIdentity(): Promise<PrivateKey> {
  return generateKeyPair('Ed25519')
}

/** Encodes the key as libp2p's protobuf, for a 0600 file, IndexedDB or a Durable Object's storage. */
export function identityToBytes(key: PrivateKey): Uint8Array {
  return privateKeyToProtobuf(key)
}

/** @throws {AppError} invalid_request for anything but a stored Ed25519 key */
export function identityFromBytes(bytes: Uint8Array): PrivateKey {
  let key: PrivateKey
  try {
    key = privateKeyFromProtobuf(bytes)
  } catch (cause) {
    throw new AppError('invalid_request', 'The stored identity is damaged.', { cause })
  }
  if (key.type === 'Ed25519') return key
  throw new AppError('invalid_request', `An identity is an Ed25519 key, not ${key.type}.`)
}

export function peerIdOf(key: PrivateKey): NodeId {
  return NodeId.parse(peerIdFromPrivateKey(key).toString())
}
