/** Pictures and sounds in requests: every spelling of a file gives the node the same bytes. */
import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { MANIFESTS } from '#shared/job/manifests.ts'
import { encodeBytes } from '#shared/job/tensor.ts'
import { refusal } from '#test/support/engine/text-requests.ts'
import { parseBody } from '#worker/body/faults.ts'
import { decodeInfer, InferRequest } from '#worker/api/oip/oip.ts'

function decode(id: string, tensor: object, binary?: Uint8Array) {
  const manifest = MANIFESTS.find((candidate) => candidate.id === id)
  const input = manifest?.inputs[0]
  if (manifest === undefined || input === undefined) throw new Error(`no ${id}`)
  const whole = { name: input.name, datatype: input.datatype, shape: [1], ...tensor }
  return decodeInfer(manifest, parseBody(InferRequest, { inputs: [whole] }), binary)
}

const pointerOf = (id: string, tensor: object) => refusal(() => decode(id, tensor)).pointers[0]

const file = new Uint8Array([0x89, 0x50, 0x4e, 0x47, 0xfb, 0xff, 0xfe, 0x3e])
const base64 = Buffer.from(file).toString('base64')
const framed = encodeBytes([file])
const encode = encodeURIComponent
const encodeAll = (text: string) =>
  Array.from(text, (each) => `%${each.charCodeAt(0).toString(16)}`).join('')
const binary = (bytes: Uint8Array) => ({ parameters: { binary_data_size: bytes.length } })

describe('a file', () => {
  const [head, tail] = [base64.slice(0, 4), base64.slice(4)]
  it.each<[string, string]>([
    ['base64', base64],
    ['base64 in lines', `${head}\r\n${tail}\n`],
    ['base64 of the alphabet for URLs', Buffer.from(file).toString('base64url')],
    ['base64 without padding', base64.replace(/=+$/, '')],
    ['base64 with a form feed', `${head}\f${tail}`],
    ['a data URL', `data:image/png;base64,${base64}`],
    ['a data URL of another picture type', `data:image/jpg;base64,${base64}`],
    ['a data URL with parameters', `DATA:image/png;name=a.png;BASE64,${base64}`],
    ['a data URL without a type', `data:;base64,${base64}`],
    ['a percent-encoded data URL', `data:image/png;base64,${encode(base64)}`],
    ['a data URL with each byte percent-encoded', `data:;base64,${encodeAll(base64)}`],
    ['a data URL with %3D for padding', `data:;base64,${base64.replaceAll('=', '%3d')}`],
    ['a data URL with blanks around it', ` \n\tdata:image/png;base64,${base64} \n`],
    ['a data URL with a quoted comma', `data:image/png;name="a,\\",b;.png";base64,${base64}`],
    ['a data URL with a long head', `data:image/png;name=${'a'.repeat(4_000)};base64,${base64}`],
    ['a data URL with a form feed in it', `data:;base64,${head}\f\t${tail}`],
    ['a data URL with encoded line breaks', `data:;base64,${head}%0D%0A${tail}%0A`],
    ['a data URL with a fragment', `data:image/png; base64 ,${base64}#picture`],
  ])('comes as %s, in an array or alone', (_, text) => {
    for (const data of [[text], text]) expect(decode('pp-ocr', { data }).payload).toEqual(framed)
  })

  const encoding = { parameters: { encoding: 'base64' } }
  it.each<[string, object, Uint8Array?]>([
    ['explicit base64', { data: [base64], ...encoding }],
    ['base64 of the framed tensor', { data: Buffer.from(framed).toString('base64'), ...encoding }],
    ['bytes after the JSON', binary(file), file],
    ['framed bytes after the JSON', binary(framed), framed],
  ])('comes as %s', (_, tensor, after) => {
    const { headers, payload } = decode('pp-ocr', tensor, after)
    expect(payload).toEqual(framed)
    expect(headers[0]).toMatchObject({ shape: [1], sizeBytes: framed.length })
  })

  it('is the same for any bytes and every model with file inputs', () => {
    const models = MANIFESTS.filter(({ inputs: [input] }) => input?.maxBytes !== undefined)
    expect(models.map(({ id }) => id)).toEqual(['nanodet-g', 'pp-ocr', 'silero-vad'])
    fc.assert(
      fc.property(
        fc.uint8Array({ minLength: 1, maxLength: 64 }),
        fc.constantFrom(...models),
        (bytes, { id }) => {
          const data = [Buffer.from(bytes).toString('base64')]
          expect(decode(id, { data }).payload).toEqual(encodeBytes([bytes]))
        },
      ),
    )
  })
})

describe('an invalid file', () => {
  it.each<[string, string, string?]>([
    ['a sentence', 'hello world'],
    ['base64 that lost a plus', 'AAA AAAA'],
    ['a path', './meter.png'],
    ['an address', 'https://example.org/meter.png'],
    ['cut base64', `${base64.slice(0, 4)}A`],
    ['a data URL of text', `data:,hello`],
    ['a data URL whose plus was lost', 'data:;base64,AAA%20AAAA'],
    ['a data URL with half a percent', 'data:;base64,AAA%3'],
    ['a data URL of other bytes', 'data:;base64,AAA%ff'],
    ['a data URL without its end', `data:image/png;name=";base64,${base64}`],
    ['a sound', `data:audio/wav;base64,${base64}`],
    ['a picture', `data:image/png;base64,${base64}`, 'silero-vad'],
  ])('%s is refused with a pointer', (_, text, id = 'pp-ocr') => {
    expect(pointerOf(id, { data: [text] })).toBe('/inputs/0/data/0')
  })

  it.each<[string, object, string]>([
    ['a list of bytes', { data: [137] }, '/inputs/0/data/0'],
    ['two files', { data: [base64, base64] }, '/inputs/0/data'],
    ['nothing', {}, '/inputs/0/data'],
  ])('%s is refused with a pointer', (_, tensor, pointer) => {
    expect(pointerOf('pp-ocr', tensor)).toBe(pointer)
  })
})

describe('a file that is slow to parse', () => {
  it.each([
    ['blanks', `A${' '.repeat(8 << 20)}A`],
    ['line breaks', `A${'\n'.repeat(8 << 20)}A A`],
    ['parts of a data URL', `data:${';'.repeat(8 << 20)}`],
    ['quotes in a data URL', `data:${';a="b"'.repeat(1 << 20)}`],
    ['percent signs', `data:;base64,${'%41'.repeat(5 << 20)}%`],
    ['blanks in a data URL', `data:${`;${' '.repeat(100)}`.repeat(80_000)},AAAA`],
  ])('of %s is refused', (_, text) => {
    expect(pointerOf('pp-ocr', { data: [text] })).toBe('/inputs/0/data/0')
  })
})

describe('a text', () => {
  it('that looks like base64 stays a text for a text input', () => {
    const { payload } = decode('littoral-embed-400k', { data: ['QUJD'] })
    expect(payload).toEqual(encodeBytes(['QUJD']))
  })
})
