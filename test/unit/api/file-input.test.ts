/** Pictures and sounds in requests: every spelling of a file gives the node the same bytes. */
import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { toAppError } from '#shared/base/errors.ts'
import { MANIFESTS } from '#shared/job/manifests.ts'
import { encodeBytes } from '#shared/job/tensor.ts'
import { parseBody } from '#worker/body/faults.ts'
import { decodeInfer, InferRequest } from '#worker/api/oip/oip.ts'

function decode(id: string, tensor: object, binary?: Uint8Array) {
  const manifest = MANIFESTS.find((candidate) => candidate.id === id)
  const input = manifest?.inputs[0]
  if (manifest === undefined || input === undefined) throw new Error(`no ${id}`)
  const whole = { name: input.name, datatype: input.datatype, shape: [1], ...tensor }
  return decodeInfer(manifest, parseBody(InferRequest, { inputs: [whole] }), binary)
}

function refusal(id: string, tensor: object) {
  try {
    decode(id, tensor)
  } catch (error) {
    return toAppError(error).meta.errors?.[0]
  }
  return undefined
}

const file = new Uint8Array([0x89, 0x50, 0x4e, 0x47, 0xfb, 0xff, 0xfe, 0x3e])
const base64 = Buffer.from(file).toString('base64')
const framed = encodeBytes([file])
const encode = encodeURIComponent
const encodeAll = (text: string) =>
  Array.from(text, (each) => `%${each.charCodeAt(0).toString(16)}`).join('')
const binary = (bytes: Uint8Array) => ({ parameters: { binary_data_size: bytes.length } })

describe('a file', () => {
  it.each<[string, object, Uint8Array?]>([
    ['base64 in an array', { data: [base64] }],
    ['base64 alone', { data: base64 }],
    ['base64 in lines', { data: [`${base64.slice(0, 4)}\r\n${base64.slice(4)}\n`] }],
    ['base64 of the alphabet for URLs', { data: [Buffer.from(file).toString('base64url')] }],
    ['base64 without padding', { data: [base64.replace(/=+$/, '')] }],
    ['a data URL', { data: [`data:image/png;base64,${base64}`] }],
    ['a data URL of another picture type', { data: [`data:image/jpg;base64,${base64}`] }],
    ['a data URL with parameters', { data: [`DATA:image/png;name=a.png;BASE64,${base64}`] }],
    ['a data URL without a type', { data: [`data:;base64,${base64}`] }],
    [
      'a data URL with its base64 percent-encoded',
      { data: [`data:image/png;base64,${encode(base64)}`] },
    ],
    ['a data URL with each byte percent-encoded', { data: [`data:;base64,${encodeAll(base64)}`] }],
    [
      'a data URL with %3D for padding',
      { data: [`data:;base64,${base64.replaceAll('=', '%3d')}`] },
    ],
    ['a data URL with blanks around it', { data: [` \n\tdata:image/png;base64,${base64} \n`] }],
    [
      'a data URL with a comma in quotes',
      { data: [`data:image/png;name="a,\\",b;.png";base64,${base64}`] },
    ],
    [
      'a data URL with a long head',
      { data: [`data:image/png;name=${'a'.repeat(4_000)};base64,${base64}`] },
    ],
    [
      'a data URL with a form feed in it',
      { data: [`data:;base64,${base64.slice(0, 4)}\f\t${base64.slice(4)}`] },
    ],
    [
      'a data URL with encoded line breaks',
      { data: [`data:;base64,${base64.slice(0, 4)}%0D%0A${base64.slice(4)}%0A`] },
    ],
    ['a data URL with a fragment', { data: [`data:image/png; base64 ,${base64}#picture`] }],
    ['base64 with a form feed', { data: [`${base64.slice(0, 4)}\f${base64.slice(4)}`] }],
    ['a data URL alone', { data: `data:image/png;base64,${base64}` }],
    ['base64 that is also said to be it', { data: [base64], parameters: { encoding: 'base64' } }],
    [
      'base64 of the framed tensor',
      { data: Buffer.from(framed).toString('base64'), parameters: { encoding: 'base64' } },
    ],
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
  it.each<[string, string, object, string]>([
    ['a sentence', 'pp-ocr', { data: ['hello world'] }, '/inputs/0/data/0'],
    ['base64 that lost a plus', 'pp-ocr', { data: ['AAA AAAA'] }, '/inputs/0/data/0'],
    ['a path', 'pp-ocr', { data: ['./meter.png'] }, '/inputs/0/data/0'],
    ['an address', 'pp-ocr', { data: ['https://example.org/meter.png'] }, '/inputs/0/data/0'],
    ['cut base64', 'pp-ocr', { data: [`${base64.slice(0, 4)}A`] }, '/inputs/0/data/0'],
    ['a data URL of text', 'pp-ocr', { data: [`data:,hello`] }, '/inputs/0/data/0'],
    [
      'a data URL whose plus was lost',
      'pp-ocr',
      { data: ['data:;base64,AAA%20AAAA'] },
      '/inputs/0/data/0',
    ],
    [
      'a data URL with half a percent',
      'pp-ocr',
      { data: ['data:;base64,AAA%3'] },
      '/inputs/0/data/0',
    ],
    ['a data URL of other bytes', 'pp-ocr', { data: ['data:;base64,AAA%ff'] }, '/inputs/0/data/0'],
    [
      'a data URL without its end',
      'pp-ocr',
      { data: [`data:image/png;name=";base64,${base64}`] },
      '/inputs/0/data/0',
    ],
    ['a sound', 'pp-ocr', { data: [`data:audio/wav;base64,${base64}`] }, '/inputs/0/data/0'],
    ['a picture', 'silero-vad', { data: [`data:image/png;base64,${base64}`] }, '/inputs/0/data/0'],
    ['a list of bytes', 'pp-ocr', { data: [137] }, '/inputs/0/data/0'],
    ['two files', 'pp-ocr', { data: [base64, base64] }, '/inputs/0/data'],
    ['nothing', 'pp-ocr', {}, '/inputs/0/data'],
  ])('%s is refused with a pointer', (_, id, tensor, pointer) => {
    expect(refusal(id, tensor)?.pointer).toBe(pointer)
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
    expect(refusal('pp-ocr', { data: [text] })?.pointer).toBe('/inputs/0/data/0')
  })
})

describe('a text', () => {
  it('that looks like base64 stays a text for a text input', () => {
    const { payload } = decode('littoral-embed-400k', { data: ['QUJD'] })
    expect(payload).toEqual(encodeBytes(['QUJD']))
  })
})
