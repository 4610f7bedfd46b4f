/** The message that a node signs for an anchor's echo, and its check: for the anchor, and for later verifiers. */
import { concatBytes, hexToBytes, stringToBytes } from 'viem'
import { AppError } from '#shared/base/errors.ts'
import { isSignedByAnchor, type SignedEcho } from './evidence.ts'
import type { Bytes32 } from '#shared/base/ids.ts'
import { isSignedByNode } from '#shared/node/node-key.ts'

/** Both are in the message, so a signature for one anchor is worthless to another. */
export interface EchoParties {
  readonly anchorPeerId: string
  readonly nodeId: string
}

export function echoMessage(nonce: Uint8Array, { anchorPeerId, nodeId }: EchoParties): Uint8Array {
  return concatBytes([stringToBytes(`littoral echo 1\n${anchorPeerId}\n${nodeId}\n`), nonce])
}

/** @throws {AppError} forbidden for an answer that the node has not signed */
export async function checkEcho(
  { nonce, signature }: { readonly nonce: Uint8Array; readonly signature: Uint8Array },
  parties: EchoParties,
): Promise<void> {
  if (await isSignedByNode(parties.nodeId, echoMessage(nonce, parties), signature)) return
  throw new AppError('forbidden', `An echo is not signed by node ${parties.nodeId}.`)
}

/** @throws {AppError} forbidden for a statement that its anchor or its node has not signed */
export async function checkSignedEcho(echo: SignedEcho): Promise<void> {
  if (!(await isSignedByAnchor(echo)))
    throw new AppError('forbidden', `The echo is not signed by anchor ${echo.statement.anchor}.`)
  const { nonce, nodeSignature } = echo.statement
  const signature = hexToBytes(nodeSignature as Bytes32)
  await checkEcho({ nonce: hexToBytes(nonce), signature }, echo.statement)
}
