/** Checks before any device is used: tensors against a manifest, WGSL against its bounds. */
import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { parseKernel } from '#engine/kernels/parse/parse-kernel.ts'
import { decodeCtc, parseAlphabet, prepareImage } from '#engine/models/ocr-line.ts'
import { checkTensors, decodeTexts, encodeBytes, splitBytes } from '#shared/job/tensor.ts'
import { PIXELS_MANIFEST } from '#test/support/hub/manifests.ts'

describe('tensors', () => {
  const pixels = { name: 'image', datatype: 'UINT8' as const, shape: [1, 2, 3], sizeBytes: 6 }
  const scale = { name: 'scale', datatype: 'FP32' as const, shape: [1], sizeBytes: 4 }
  const check = (bits: number) => {
    const payload = new Uint8Array(10)
    new DataView(payload.buffer).setUint32(6, bits, true)
    checkTensors(PIXELS_MANIFEST, [pixels, scale], payload)
  }

  test.each([
    ['NaN', 0x7fc00000],
    ['a signalling NaN of negative sign', 0xff800001],
    ['infinity', 0x7f800000],
    ['negative infinity', 0xff800000],
  ])('[G2] %s is refused with the place where it stands', (_, bits) => {
    expect(() => check(bits)).toThrow(
      expect.objectContaining({
        code: 'invalid_request',
        meta: { errors: [{ pointer: '/inputs/1/data/0', detail: 'is NaN or infinite' }] },
      }),
    )
  })

  test('[G2] any other float passes', () => {
    fc.assert(
      fc.property(fc.integer({ min: 0, max: 0xffffffff }), (bits) => {
        fc.pre((bits & 0x7f800000) !== 0x7f800000)
        check(bits)
      }),
    )
  })

  test('[G2] every fault of every tensor is named at once', () => {
    const wrong = [
      { ...pixels, shape: [1, 2, 4] },
      { ...scale, datatype: 'INT32' as const },
    ]
    expect(() => checkTensors(PIXELS_MANIFEST, wrong, new Uint8Array(10))).toThrow(
      expect.objectContaining({
        meta: {
          errors: [
            expect.objectContaining({ pointer: '/inputs/0/shape' }),
            expect.objectContaining({ pointer: '/inputs/1/datatype' }),
          ],
        },
      }),
    )
  })

  test('BYTES framing gives back any texts, and nothing from bytes that are cut', () => {
    fc.assert(
      fc.property(fc.array(fc.string({ unit: 'grapheme' })), (texts) => {
        const framed = encodeBytes(texts)
        expect(decodeTexts(framed)).toEqual(texts)
        if (framed.length > 0) expect(splitBytes(framed.subarray(0, -1))).toBeUndefined()
      }),
    )
  })
})

describe('statements of WGSL', () => {
  test.each([
    ['a = 1; b = 2;', 2],
    ['// a; b;\na = 1;', 1],
    ['/* a; /* b; */ c; */ a = 1;', 1],
    ['// c\u2028a = 1;', 1],
    ['// c\u0085a = 1;', 1],
    ['for (var i = 0; i < 9; i++) { a = i; }', 2],
    ['if (a) {} else {}', 1],
    ['switch (a) { case 1: { b = 2; } default: {} }', 4],
    ['// /*\na = 1;', 1],
  ])('[U3] %j are %i', (statements, count) => {
    expect(parseKernel(`fn f() { ${statements} }`).statements).toBe(count)
  })
})

describe('a line of text', () => {
  const alphabet = parseAlphabet('a\nb\r\nc\n')
  const scores = (steps: readonly number[]) => ({
    dims: [1, steps.length, alphabet.length],
    data: Float32Array.from(
      steps.flatMap((best) => alphabet.map((_, i) => (i === best ? 0.8 : 0.05))),
    ),
  })

  test('joins repeats, keeps doubles that a blank parts, and drops blanks', () => {
    const { text, confidence } = decodeCtc(scores([0, 1, 1, 0, 1, 2, 4, 3, 0]), alphabet)
    expect(text).toBe('aab c')
    expect(confidence).toBeCloseTo(0.8)
    expect(decodeCtc(scores([0, 0]), alphabet)).toEqual({ text: '', confidence: 0 })
  })

  test('keeps a plain picture plain at any size, and refuses one that is no line', () => {
    for (const [height, width] of [
      [5, 9],
      [48, 48],
      [300, 100],
      [1, 40],
    ] as const) {
      const bytes = new Uint8Array(height * width * 3).fill(255)
      const { data } = prepareImage({ shape: [height, width, 3], bytes })
      expect(data.every((value) => Math.abs(value - 1) < 1e-6)).toBe(true)
    }
    const ribbon = { shape: [1, 41, 3], bytes: new Uint8Array(123) }
    expect(() => prepareImage(ribbon)).toThrow(expect.objectContaining({ code: 'invalid_request' }))
  })
})
