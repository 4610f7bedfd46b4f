/**
 * Signed checkpoints of a log: a C2SP tlog-checkpoint (https://c2sp.org/tlog-checkpoint) in a signed note
 * (https://c2sp.org/signed-note), with one Ed25519 signature whose key has the log's name.
 */
import { invariant } from '#shared/base/errors.ts'
import { decodeBase64, encodeBase64, fromBase64Url } from '#shared/base/base64.ts'
import { bytesToHex, concat, hexToBytes, sha256, stringToBytes } from 'viem'
import { z } from 'zod'
import { Bytes32 } from '#shared/base/ids.ts'
import { ED25519, isEd25519Signed } from '#shared/base/ed25519.ts'

/** Content of a checkpoint: the log's name, its number of entries, and their root. */
export const LogHead = z.strictObject({
  origin: z.string(),
  size: z.int().min(0),
  root: Bytes32,
})
export type LogHead = Readonly<z.infer<typeof LogHead>>

export interface NoteSignature {
  readonly name: string
  /** First four bytes of sha256(name ‖ 0x0A ‖ 0x01 ‖ public key). */
  readonly keyId: Uint8Array
  readonly signature: Uint8Array
}

export interface SignedNote {
  /** The signed text, with its final line feed. */
  readonly text: string
  readonly signatures: readonly NoteSignature[]
}

/** Signs notes under any name with the deployment's one log key. */
export type LogSigner = Awaited<ReturnType<typeof createLogSigner>>

/** Algorithm byte of Ed25519 in a note's key. */
const ALGORITHM = 0x01
/** DER of a PKCS #8 Ed25519 key up to its 32 bytes: RFC 8410, section 7. */
const PKCS8_PREFIX = '0x302e020100300506032b657004220420'
const SIGNATURE_LINE = /^— (\S+) ([A-Za-z0-9+/]+={0,2})$/
const DECIMAL = /^(0|[1-9][0-9]{0,15})$/
const MAX_SIGNATURES = 16

/** @param seed 32 secret random bytes */
export async function createLogSigner(seed: Bytes32) {
  const pkcs8 = new Uint8Array(hexToBytes(concat([PKCS8_PREFIX, seed])))
  const key = await crypto.subtle.importKey('pkcs8', pkcs8, ED25519, true, ['sign'])
  const jwk = (await crypto.subtle.exportKey('jwk', key)) as { readonly x?: string }
  const raw = fromBase64Url(jwk.x ?? '')
  invariant(raw?.length === 32, 'an Ed25519 key has 32 bytes')
  const publicKey = bytesToHex(raw)
  return {
    /** 32 bytes, Ed25519. */
    publicKey,
    async sign(head: LogHead): Promise<string> {
      const text = formatLogHead(head)
      const bytes = new Uint8Array(stringToBytes(text))
      const signature = new Uint8Array(await crypto.subtle.sign(ED25519, key, bytes))
      return formatNote({
        text,
        signatures: [{ name: head.origin, keyId: noteKeyId(head.origin, publicKey), signature }],
      })
    },
  }
}

export function formatLogHead({ origin, size, root }: LogHead): string {
  return `${origin}\n${size}\n${encodeBase64(hexToBytes(root))}\n`
}

/** @returns undefined for anything but a checkpoint in its one spelling, without extension lines */
export function parseLogHead(text: string): LogHead | undefined {
  const [origin = '', size = '', root = '', end, ...more] = text.split('\n')
  const bytes = decodeExactly(root)
  if (end !== '' || more.length > 0 || origin === '' || !DECIMAL.test(size)) return undefined
  if (bytes?.length !== 32 || !Number.isSafeInteger(Number(size))) return undefined
  return { origin, size: Number(size), root: bytesToHex(bytes) }
}

export function formatNote({ text, signatures }: SignedNote): string {
  const lines = signatures.map(({ name, keyId, signature }) => {
    const bytes = new Uint8Array(keyId.length + signature.length)
    bytes.set(keyId)
    bytes.set(signature, keyId.length)
    return `— ${name} ${encodeBase64(bytes)}\n`
  })
  return `${text}\n${lines.join('')}`
}

/** @returns undefined for anything but a signed note */
export function parseNote(note: string): SignedNote | undefined {
  const split = note.lastIndexOf('\n\n')
  if (split < 0 || !note.endsWith('\n')) return undefined
  const lines = note.slice(split + 2, -1).split('\n')
  if (lines.length > MAX_SIGNATURES) return undefined
  const signatures: NoteSignature[] = []
  for (const line of lines) {
    const [, name, base64 = ''] = SIGNATURE_LINE.exec(line) ?? []
    const bytes = decodeExactly(base64)
    if (name === undefined || !isKeyName(name) || bytes === undefined || bytes.length < 5)
      return undefined
    signatures.push({ name, keyId: bytes.subarray(0, 4), signature: bytes.subarray(4) })
  }
  return { text: note.slice(0, split + 1), signatures }
}

/** Tells whether `publicKey` signed the note under `name`. Ignores signatures of other keys. */
export async function isNoteSignedBy(
  { text, signatures }: SignedNote,
  key: { readonly name: string; readonly publicKey: Bytes32 },
): Promise<boolean> {
  const keyId = bytesToHex(noteKeyId(key.name, key.publicKey))
  const own = signatures.filter(
    (signature) => signature.name === key.name && bytesToHex(signature.keyId) === keyId,
  )
  const [only, ...others] = own
  if (only === undefined || others.length > 0) return false
  return isEd25519Signed(key.publicKey, stringToBytes(text), only.signature)
}

/** First four bytes of `sha256(name ‖ 0x0A ‖ 0x01 ‖ key)`. */
export function noteKeyId(name: string, publicKey: Bytes32): Uint8Array {
  const start = stringToBytes(`${name}\n`)
  const bytes = new Uint8Array(start.length + 33)
  bytes.set(start)
  bytes[start.length] = ALGORITHM
  bytes.set(hexToBytes(publicKey), start.length + 1)
  return sha256(bytes, 'bytes').subarray(0, 4)
}

function isKeyName(name: string): boolean {
  return name !== '' && !/[\s+]/u.test(name)
}

/** Accepts one spelling only: a change of base64's spare bits must not go unnoticed. */
function decodeExactly(text: string): Uint8Array | undefined {
  const bytes = decodeBase64(text)
  return bytes !== undefined && encodeBase64(bytes) === text ? bytes : undefined
}
