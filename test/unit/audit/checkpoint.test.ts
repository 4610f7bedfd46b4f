import { generateKeyPairSync, verify } from 'node:crypto'
import { bytesToHex, stringToBytes, toHex } from 'viem'
import { describe, expect, it } from 'vitest'
import {
  createLogSigner,
  formatLogHead,
  formatNote,
  isNoteSignedBy,
  noteKeyId,
  parseLogHead,
  parseNote,
} from '#shared/audit/checkpoint.ts'
import { randomBytes, type Bytes32 } from '#shared/base/ids.ts'

const HEAD = {
  origin: 'littoral/1/0xab/c3',
  size: 20_852_163,
  root: `0x${'a5'.repeat(32)}`,
} as const

/** The note of the documentation of golang.org/x/mod/sumdb/note, and the key that signed it. */
const PUBLISHED_NOTE =
  'If you think cryptography is the answer to your problem,\n' +
  "then you don't know what your problem is.\n" +
  '\n' +
  '— PeterNeumann x08go/ZJkuBS9UG/SffcvIAQxVBtiFupLLr8pAcElZInNIuGUgYN1FFYC2pZSNXgKvqfqdngotpRZb6KE6RyyBwJnAM=\n'
/** A checkpoint of the Go checksum database, without its signature. */
const PUBLISHED_CHECKPOINT =
  'go.sum database tree\n65664258\nWVVNVD2qx+fTq31zkj6UAqxT5X6HvGphGM+o8Thnbsg=\n'
const PUBLISHED_KEYS = [
  'PeterNeumann+c74f20a3+ARpc2QcUPDhMQegwxbzhKqiBfsVkmqq/LDE4izWy10TW',
  'sum.golang.org+033de0ae+Ac4zctda0e5eza+HJyk9SxEdh+s3Ux18htTTAD8OuAn8',
]

function readKey(text: string): { name: string; keyId: string; publicKey: Bytes32 } {
  const [name = '', keyId = '', ...key] = text.split('+')
  const bytes = Buffer.from(key.join('+'), 'base64')
  expect(bytes[0]).toBe(1)
  return { name, keyId, publicKey: toHex(bytes.subarray(1)) }
}

describe('the published notes', () => {
  it.each(PUBLISHED_KEYS)('have the key id that we compute for %s', (text) => {
    const { name, keyId, publicKey } = readKey(text)
    expect(bytesToHex(noteKeyId(name, publicKey)).slice(2)).toBe(keyId)
  })

  it('are parsed, verified and formatted byte for byte', async () => {
    const note = parseNote(PUBLISHED_NOTE)
    if (note === undefined) throw new Error('not a note')
    const key = readKey(PUBLISHED_KEYS[0] ?? '')
    expect(await isNoteSignedBy(note, key)).toBe(true)
    expect(formatNote(note)).toBe(PUBLISHED_NOTE)
    expect(await isNoteSignedBy(note, { ...key, name: 'EnochRoot' })).toBe(false)
    const edited = { ...note, text: note.text.replace('answer', 'Answer') }
    expect(await isNoteSignedBy(edited, key)).toBe(false)
  })
})

describe('a checkpoint', () => {
  it('of the Go checksum database is parsed and formatted byte for byte', () => {
    const head = parseLogHead(PUBLISHED_CHECKPOINT)
    expect(head).toMatchObject({ origin: 'go.sum database tree', size: 65_664_258 })
    expect(formatLogHead(head ?? HEAD)).toBe(PUBLISHED_CHECKPOINT)
  })

  it('is a note of three lines that another Ed25519 implementation verifies', async () => {
    const signer = await createLogSigner(toHex(randomBytes(32)))
    const note = parseNote(await signer.sign(HEAD))
    expect(note?.text).toBe(
      `${HEAD.origin}\n20852163\npaWlpaWlpaWlpaWlpaWlpaWlpaWlpaWlpaWlpaWlpaU=\n`,
    )
    expect(parseLogHead(note?.text ?? '')).toEqual(HEAD)
    const { publicKey: template } = generateKeyPairSync('ed25519')
    const x = Buffer.from(signer.publicKey.slice(2), 'hex').toString('base64url')
    const key = { ...template.export({ format: 'jwk' }), x }
    const signature = note?.signatures[0]?.signature ?? new Uint8Array()
    const text = stringToBytes(note?.text ?? '')
    expect(verify(null, text, { key, format: 'jwk' }, signature)).toBe(true)
  })

  it('is refused with any byte changed', async () => {
    const signer = await createLogSigner(toHex(randomBytes(32)))
    const whole = await signer.sign(HEAD)
    const holds = async (text: string) => {
      const note = parseNote(text)
      const head = note && parseLogHead(note.text)
      if (note === undefined || head === undefined) return false
      return isNoteSignedBy(note, { name: HEAD.origin, publicKey: signer.publicKey })
    }
    expect(await holds(whole)).toBe(true)
    for (let at = 0; at < whole.length; at += 1) {
      for (const other of ['A', '1', '\n', '=']) {
        if (whole[at] === other) continue
        const edited = whole.slice(0, at) + other + whole.slice(at + 1)
        expect(await holds(edited), `${at} ${JSON.stringify(edited)}`).toBe(false)
      }
    }
  })

  it.each([
    ['a size with a zero before it', 'log\n01\npaWlpaWlpaWlpaWlpaWlpaWlpaWlpaWlpaWlpaWlpaU=\n'],
    ['a root that is too short', 'log\n1\npaU=\n'],
    ['base64 in another spelling', 'log\n1\npaWlpaWlpaWlpaWlpaWlpaWlpaWlpaWlpaWlpaWlpaV=\n'],
    ['an extension line', 'log\n1\npaWlpaWlpaWlpaWlpaWlpaWlpaWlpaWlpaWlpaWlpaU=\nmore\n'],
    ['no name', '\n1\npaWlpaWlpaWlpaWlpaWlpaWlpaWlpaWlpaWlpaWlpaU=\n'],
  ])('is not parsed with %s', (_case, text) => {
    expect(parseLogHead(text)).toBeUndefined()
  })
})
