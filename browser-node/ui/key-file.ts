/** Saves the node's keys to a file, and restores them from one. */
import { decodeBase64, encodeBase64 } from '#shared/base/base64.ts'
import { z } from 'zod'
import { AppError } from '#shared/base/errors.ts'
import { exportSigningKey, importSigningKey, type SigningKeyPair } from '#shared/proof/signature.ts'

/** Part of NodeStorage, without IndexedDB's types, so that tests in Node can use this file. */
interface KeyStorage {
  readIdentity(): Promise<Uint8Array | undefined>
  readReceiptKey(): Promise<SigningKeyPair | undefined>
  keep(name: 'identity' | 'receiptKey', value: unknown): Promise<void>
}

const MAX_CHARS = 8_192
const KeyFile = z.strictObject({
  kind: z.literal('littoral-node-key'),
  version: z.literal(1),
  /** libp2p protobuf. */
  identity: z.base64().max(256),
  /** P-256 private key as a JWK. */
  receiptKey: z.string().max(2_048),
})

/** Writes the keys as a file; gives undefined while this browser has none. */
export async function writeKeyFile(storage: KeyStorage): Promise<string | undefined> {
  const [identity, pair] = [await storage.readIdentity(), await storage.readReceiptKey()]
  if (identity === undefined || pair === undefined) return undefined
  const file: z.infer<typeof KeyFile> = {
    kind: 'littoral-node-key',
    version: 1,
    identity: encodeBase64(identity),
    receiptKey: await exportSigningKey(pair),
  }
  return `${JSON.stringify(file, null, 2)}\n`
}

/** @throws {AppError} invalid_request when the text is not a key file */
export async function readKeyFile(text: string) {
  const { identityFromBytes, identityToBytes, peerIdOf } = await import('#p2p/peers/identity.ts')
  try {
    const file = KeyFile.parse(JSON.parse(z.string().max(MAX_CHARS).parse(text)))
    const identity = identityFromBytes(decodeBase64(file.identity) ?? new Uint8Array())
    const pair = await importSigningKey(file.receiptKey)
    return {
      nodeId: peerIdOf(identity),
      async keep(storage: KeyStorage) {
        await storage.keep('identity', identityToBytes(identity))
        await storage.keep('receiptKey', pair)
      },
    }
  } catch (cause) {
    const detail = 'This is not a key file of a Littoral node, or it is damaged.'
    throw new AppError('invalid_request', detail, { cause })
  }
}

/** Reads the public id of this browser's node; gives undefined while this browser has no key. */
export async function readNodeId(storage: KeyStorage): Promise<string | undefined> {
  const bytes = await storage.readIdentity()
  if (bytes === undefined) return undefined
  const { identityFromBytes, peerIdOf } = await import('#p2p/peers/identity.ts')
  return peerIdOf(identityFromBytes(bytes))
}
