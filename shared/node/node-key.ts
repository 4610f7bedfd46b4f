/** Reads the Ed25519 key from a libp2p peer id and checks its signatures, for programs without libp2p. */
import { bytesToHex, hexToBytes } from 'viem'
import { isEd25519Signed } from '#shared/base/ed25519.ts'
import type { Bytes32 } from '#shared/base/ids.ts'

const BASE58 = '123456789ABCDEFGHJKLMNPQRSTUVWXYZabcdefghijkmnopqrstuvwxyz'
/**
 * Identity multihash (0x00) of 36 bytes (0x24): a protobuf with key type Ed25519 (0x08 0x01) and 32 key bytes (0x12 0x20).
 * https://github.com/libp2p/specs/blob/master/peer-ids/peer-ids.md
 */
const PREFIX = [0x00, 0x24, 0x08, 0x01, 0x12, 0x20] as const
const KEY_BYTES = 32

/** @returns undefined for a peer id with another kind of key, and for anything else */
export function nodePublicKey(nodeId: string): Bytes32 | undefined {
  const bytes = decodeBase58(nodeId)
  if (bytes?.length !== PREFIX.length + KEY_BYTES) return undefined
  if (PREFIX.some((byte, at) => bytes[at] !== byte)) return undefined
  return bytesToHex(bytes.subarray(PREFIX.length))
}

/** Tells whether that node's key signed the message. Returns false for malformed arguments; never throws. */
export async function isSignedByNode(
  nodeId: string,
  message: Uint8Array,
  signature: Uint8Array,
): Promise<boolean> {
  const publicKey = nodePublicKey(nodeId)
  return publicKey !== undefined && isEd25519Signed(publicKey, message, signature)
}

function decodeBase58(text: string): Uint8Array | undefined {
  if (text.length === 0 || text.length > 80) return undefined
  let value = 0n
  for (const character of text) {
    const digit = BASE58.indexOf(character)
    if (digit < 0) return undefined
    value = value * 58n + BigInt(digit)
  }
  const zeros = text.length - text.replace(/^1+/, '').length
  const hex = value === 0n ? '' : value.toString(16)
  const even = hex.padStart(hex.length + (hex.length % 2), '0')
  return Uint8Array.from([...Array<number>(zeros).fill(0), ...hexToBytes(`0x${even}`)])
}
