/** What a node signs of an anchor's echo, and whether it did: for the anchor that measures, and for who checks it later. */
import { concatBytes, hexToBytes, stringToBytes } from 'viem'
import { AppError } from '#shared/base/errors.ts'
import { isSignedByAnchor, type SignedEcho } from './evidence.ts'
import type { Bytes32 } from '#shared/base/ids.ts'
import { isSignedByNode } from '#shared/node/node-key.ts'

/** Who measures whom: a signature for one anchor is worth nothing to another. */
export interface EchoParties {
  readonly anchorPeerId: string
  readonly nodeId: string
}

/** What the node signs. */
export function echoMessage(nonce: Uint8Array, { anchorPeerId, nodeId }: EchoParties): Uint8Array {
  return concatBytes([stringToBytes(`littoral echo 1\n${anchorPeerId}\n${nodeId}\n`), nonce])
}

/** @throws {AppError} forbidden for an answer that its node has not signed */
export async function checkEcho(
  { nonce, signature }: { readonly nonce: Uint8Array; readonly signature: Uint8Array },
  parties: EchoParties,
): Promise<void> {
  if (await isSignedByNode(parties.nodeId, echoMessage(nonce, parties), signature)) return
  throw new AppError('forbidden', `An echo is not signed by node ${parties.nodeId}.`)
}

/** @throws {AppError} forbidden for a statement that its anchor, or the node that it is about, has not signed */
export async function checkSignedEcho(echo: SignedEcho): Promise<void> {
  if (!(await isSignedByAnchor(echo)))
    throw new AppError('forbidden', `The echo is not signed by anchor ${echo.statement.anchor}.`)
  const { nonce, nodeSignature } = echo.statement
  const signature = hexToBytes(nodeSignature as Bytes32)
  await checkEcho({ nonce: hexToBytes(nonce), signature }, echo.statement)
}
