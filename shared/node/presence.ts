/** Checks that a node signed its own presence record. */
import { decodeBase64 } from '#shared/base/base64.ts'
import { AppError } from '#shared/base/errors.ts'
import { LIMITS } from '#shared/base/limits.ts'
import { isSignedByNode, nodePublicKey } from './node-key.ts'
import { parseStrict } from '#shared/base/strict-json.ts'
import { PresenceRecord, type SignedPresence } from './node.ts'

/**
 * Checks size, signature and schema. The caller judges the record's age.
 * @throws {AppError} too_large, invalid_request, or forbidden for a signature by another key
 */
export async function verifyPresence(signed: SignedPresence): Promise<PresenceRecord> {
  checkPresenceSize(Math.floor((signed.record.length * 3) / 4) - 2)
  const bytes = bytesOf(signed.record)
  const record = parseRecord(bytes)
  const signature = bytesOf(signed.signature)
  if (nodePublicKey(record.nodeId) === undefined)
    throw new AppError('invalid_request', 'The node id is not that of an Ed25519 key.')
  if (await isSignedByNode(record.nodeId, bytes, signature)) return record
  throw new AppError('forbidden', `The presence record of ${record.nodeId} is not signed by it.`)
}

/** @throws {AppError} too_large when it is over LIMITS.presenceBytes */
export function checkPresenceSize(sizeBytes: number): void {
  if (sizeBytes <= LIMITS.presenceBytes) return
  throw new AppError(
    'too_large',
    `A presence record of ${sizeBytes} bytes is over the ${LIMITS.presenceBytes} allowed.`,
  )
}

function parseRecord(bytes: Uint8Array): PresenceRecord {
  try {
    const text = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true }).decode(bytes)
    return PresenceRecord.parse(parseStrict(text))
  } catch (cause) {
    const why = cause instanceof AppError ? ` ${cause.detail}` : ''
    throw new AppError('invalid_request', `The presence record does not fit its schema.${why}`, {
      cause,
    })
  }
}

function bytesOf(text: string): Uint8Array {
  const bytes = decodeBase64(text)
  if (bytes === undefined) throw new AppError('invalid_request', 'Not base64.')
  return bytes
}
