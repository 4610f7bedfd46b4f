/** The node's keys as a file that its owner keeps: written from what the browser stores, and read back into it. */
import { encodeBase64 } from '#shared/base/base64.ts'
import { z } from 'zod'
import { AppError } from '#shared/base/errors.ts'
import { exportSigningKey, importSigningKey } from '#shared/base/signature.ts'
import type { NodeStorage } from '../node/storage.ts'

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
export async function writeKeyFile(storage: NodeStorage): Promise<string | undefined> {
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

/** Makes the file's keys this browser's. @throws {AppError} invalid_request for a file that is none of these */
export async function readKeyFile(text: string, storage: NodeStorage): Promise<void> {
  const file = text.length > MAX_CHARS ? undefined : KeyFile.safeParse(parseJson(text)).data
  if (file === undefined) throw notOurs()
  const { identityFromBytes, identityToBytes } = await import('#p2p/peers/identity.ts')
  const bytes = Uint8Array.from(atob(file.identity), (char) => char.charCodeAt(0))
  // Read before anything is replaced: a damaged file changes nothing.
  const identity = identityToBytes(identityFromBytes(bytes))
  const pair = await importSigningKey(file.receiptKey).catch((cause: unknown) => {
    throw notOurs(cause)
  })
  await storage.keep('identity', identity)
  await storage.keep('receiptKey', pair)
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
