/** The node's keys as a file that its owner keeps: written from what the browser stores, and read back into it. */
import { encodeBase64 } from '#shared/base/base64.ts'
import { z } from 'zod'
import { AppError } from '#shared/base/errors.ts'
import { exportSigningKey, importSigningKey, type SigningKeyPair } from '#shared/base/signature.ts'

/** The part of what this browser keeps that a key file is made of. */
interface KeyStorage {
  readIdentity(): Promise<Uint8Array | undefined>
  readReceiptKey(): Promise<SigningKeyPair | undefined>
  keep(name: 'identity' | 'receiptKey', value: unknown): Promise<void>
}

const MAX_CHARS = 8_192
const KeyFile = z.strictObject({
  kind: z.literal('littoral-node-key'),
  version: z.literal(1),
  /** libp2p's protobuf in base64. */
  identity: z.base64().max(256),
  /** P-256 private key as JWK text. */
  receiptKey: z.string().max(2_048),
})

/** Undefined while this browser has no key. */
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

/** A node's keys as a file had them. */
export interface BroughtKeys {
  readonly nodeId: string
  /** Makes them this browser's. */
  keep(storage: KeyStorage): Promise<void>
}

/** @throws {AppError} invalid_request for a file that is none of these */
export async function readKeyFile(text: string): Promise<BroughtKeys> {
  const file = text.length > MAX_CHARS ? undefined : KeyFile.safeParse(parseJson(text)).data
  if (file === undefined) throw notOurs()
  const { identityFromBytes, identityToBytes, peerIdOf } = await import('#p2p/peers/identity.ts')
  const identity = identityFromBytes(
    Uint8Array.from(atob(file.identity), (char) => char.charCodeAt(0)),
  )
  const pair = await importSigningKey(file.receiptKey).catch((cause: unknown) => {
    throw notOurs(cause)
  })
  return {
    nodeId: peerIdOf(identity),
    async keep(storage) {
      await storage.keep('identity', identityToBytes(identity))
      await storage.keep('receiptKey', pair)
    },
  }
}

/** The public id of this browser's node; undefined while it has no key. */
export async function readNodeId(storage: KeyStorage): Promise<string | undefined> {
  const bytes = await storage.readIdentity()
  if (bytes === undefined) return undefined
  const { identityFromBytes, peerIdOf } = await import('#p2p/peers/identity.ts')
  return peerIdOf(identityFromBytes(bytes))
}

function parseJson(text: string): unknown {
  try {
    return JSON.parse(text)
  } catch {
    return undefined
  }
}

function notOurs(cause?: unknown): AppError {
  const detail = 'This is no file with the keys of a Littoral node, or it is damaged.'
  return new AppError('invalid_request', detail, { cause })
}
