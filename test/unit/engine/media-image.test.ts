/** Pictures byte by byte: every kind of PNG against its source data, and a rotated JPEG. */
import { createHash } from 'node:crypto'
import { readFileSync } from 'node:fs'
import { deflateSync } from 'node:zlib'
import { beforeAll, describe, expect, test } from 'vitest'
import { createImageDecoder } from '#engine/media/image.ts'
import { PASSES } from '#engine/media/interlaced.ts'
import { setUpright } from '#engine/media/orientation.ts'
import type { DecodeImage } from '#engine/media/picture.ts'
import { sampleAcross } from '#engine/media/sample-picture.ts'
import { pngChunk, pngFile, type PngHeader } from '#test/support/engine/media-files.ts'

const at = (path: string) =>
  new Uint8Array(readFileSync(new URL(`../../../${path}`, import.meta.url)))
let decode: DecodeImage
beforeAll(async () => {
  decode = await createImageDecoder(at('node_modules/@jsquash/jpeg/codec/dec/mozjpeg_dec.wasm'))
})

interface Rows extends PngHeader {
  /** Filter byte and data of each row. */
  readonly rows: readonly (readonly number[])[]
  readonly extra?: readonly Uint8Array[]
}

const png = ({ rows, extra = [], ...header }: Rows) =>
  pngFile(header, deflateSync(Uint8Array.from(rows.flat())), extra)

describe('a PNG', () => {
  const palette = pngChunk('PLTE', Uint8Array.of(10, 20, 30, 40, 50, 60, 70, 80, 90))
  const alpha = pngChunk('tRNS', Uint8Array.of(255, 0))
  const kinds: readonly (readonly [string, Rows, number[]])[] = [
    [
      'of one bit',
      { width: 3, height: 1, depth: 1, colour: 0, rows: [[0, 0b10100000]] },
      [255, 255, 255, 0, 0, 0, 255, 255, 255],
    ],
    [
      'of two bits',
      { width: 2, height: 1, depth: 2, colour: 0, rows: [[0, 0b01100000]] },
      [85, 85, 85, 170, 170, 170],
    ],
    [
      'of four bits',
      {
        width: 1,
        height: 2,
        depth: 4,
        colour: 0,
        rows: [
          [0, 0xf0],
          [2, 0x00],
        ],
      },
      [255, 255, 255, 255, 255, 255],
    ],
    [
      'of sixteen bits',
      { width: 1, height: 1, depth: 16, colour: 2, rows: [[0, 1, 2, 128, 0, 255, 255]] },
      [1, 128, 255],
    ],
    [
      'of grey with alpha',
      { width: 2, height: 1, depth: 8, colour: 4, rows: [[0, 0, 255, 0, 0]] },
      [0, 0, 0, 255, 255, 255],
    ],
    [
      'with alpha, on white',
      { width: 1, height: 1, depth: 8, colour: 6, rows: [[0, 0, 100, 255, 51]] },
      [204, 224, 255],
    ],
    [
      'with a palette',
      { width: 2, height: 1, depth: 2, colour: 3, rows: [[0, 0b10000000]], extra: [palette] },
      [70, 80, 90, 10, 20, 30],
    ],
    [
      'with a palette that lets through',
      { width: 2, height: 1, depth: 8, colour: 3, rows: [[0, 0, 1]], extra: [palette, alpha] },
      [10, 20, 30, 255, 255, 255],
    ],
    [
      'in seven passes',
      {
        width: 2,
        height: 2,
        depth: 8,
        colour: 0,
        interlace: 1,
        rows: [
          [0, 1],
          [0, 2],
          [0, 3, 4],
        ],
      },
      [1, 1, 1, 2, 2, 2, 3, 3, 3, 4, 4, 4],
    ],
  ]
  test.each(kinds)('%s', async (_, rows, rgb) => {
    const { width, height } = rows
    expect(await decode(png(rows))).toEqual({ width, height, rgb: Uint8Array.from(rgb) })
  })

  test.each([1, 2, 4])(
    'interlaced with %i bits equals the same picture without interlacing',
    async (depth) => {
      const [width, height] = [13, 11]
      const value = (x: number, y: number) => (x * 7 + y * 5 + ((x * y) >> 2)) & (2 ** depth - 1)
      const pass = ([left, top, across, down]: readonly number[], filter: number) => {
        const rows: number[][] = []
        let before: readonly number[] = []
        for (let y = top ?? 0; y < height; y += down ?? 1) {
          const row = packed(width, depth, { left, across, at: (x) => value(x, y) })
          if (row.length > 0) rows.push([filter, ...filtered(row, before, filter)])
          before = row
        }
        return rows
      }
      const plain = pass([0, 0, 1, 1], 0)
      const colours = pngChunk(
        'PLTE',
        Uint8Array.from({ length: 48 }, (_, i) => i * 5),
      )
      for (const [colour, extra] of [
        [0, []],
        [3, [colours, alpha]],
      ] as const) {
        const same = { width, height, depth, colour, extra }
        const expected = await decode(png({ ...same, rows: plain }))
        for (const filter of [0, 1, 2, 3, 4]) {
          const rows = PASSES.flatMap((each) => pass(each, filter))
          expect(await decode(png({ ...same, interlace: 1, rows }))).toEqual(expected)
        }
      }
    },
  )

  test('of a photograph equals the result of another decoder', async () => {
    const { width, height, rgb } = await decode(at('examples/meter.png'))
    expect([width, height]).toEqual([400, 72])
    // Decoded once by pngjs, which is no longer installed.
    const digest = '929a9410a92aad5de07850f8dbbc16e993a52d527319d53edec4fae7bc2167a7'
    expect(createHash('sha256').update(rgb).digest('hex')).toBe(digest)
  })

  describe('with an EXIF orientation', () => {
    const held = (extra: readonly Uint8Array[]) =>
      png({
        width: 3,
        height: 2,
        depth: 8,
        colour: 0,
        rows: [
          [0, 1, 2, 3],
          [0, 4, 5, 6],
        ],
        extra,
      })
    /** Columns, then the grey values in rows, as EXIF 2.32 wants each to be seen. */
    const LOOKS: readonly (readonly [orientation: number, width: number, ...grey: number[]])[] = [
      [1, 3, 1, 2, 3, 4, 5, 6],
      [2, 3, 3, 2, 1, 6, 5, 4],
      [3, 3, 6, 5, 4, 3, 2, 1],
      [4, 3, 4, 5, 6, 1, 2, 3],
      [5, 2, 1, 4, 2, 5, 3, 6],
      [6, 2, 4, 1, 5, 2, 6, 3],
      [7, 2, 6, 3, 5, 2, 4, 1],
      [8, 2, 3, 6, 2, 5, 1, 4],
      [0, 3, 1, 2, 3, 4, 5, 6],
      [9, 3, 1, 2, 3, 4, 5, 6],
    ]
    test.each(LOOKS)(
      '[MS3] is turned upright: orientation %i',
      async (orientation, width, ...grey) => {
        const upright = {
          width,
          height: 6 / width,
          rgb: Uint8Array.from(grey.flatMap((v) => [v, v, v])),
        }
        for (const exif of exifOf(orientation))
          expect(await decode(held([pngChunk('eXIf', exif)]))).toEqual(upright)
      },
    )

    test('[MS3] is not turned when its EXIF is unreadable', async () => {
      const plain = await decode(held([]))
      const [whole = new Uint8Array()] = exifOf(6)
      for (let length = 0; length < 20; length++)
        expect(await decode(held([pngChunk('eXIf', whole.subarray(0, length))]))).toEqual(plain)
      const far = Buffer.from(whole)
      far.writeUInt32BE(0xfffffff0, 4)
      expect(await decode(held([pngChunk('eXIf', far)]))).toEqual(plain)
    })
  })

  const grey = {
    width: 2,
    height: 2,
    depth: 8,
    colour: 0,
    rows: [
      [0, 1, 2],
      [0, 3, 4],
    ],
  }
  const wrong: readonly (readonly [string, Rows, RegExp])[] = [
    ['a depth that its colour does not have', { ...grey, colour: 2, depth: 4 }, /does not exist/],
    ['no pixels', { ...grey, width: 0, rows: [] }, /0×2 pixels/],
    ['too few rows', { ...grey, rows: [[0, 1, 2]] }, /decompresses to less/],
    ['too many rows', { ...grey, rows: [...grey.rows, [0, 5, 6]] }, /decompresses to more/],
    [
      'a filter that does not exist',
      {
        ...grey,
        rows: [
          [9, 1, 2],
          [0, 3, 4],
        ],
      },
      /broken/,
    ],
    ['colours beyond its palette', { ...grey, colour: 3, extra: [palette] }, /broken/],
    ['no palette where it needs one', { ...grey, colour: 3 }, /palette/],
    [
      'rows of more than 72 MiB',
      { ...grey, width: 4_000, height: 4_000, colour: 6, depth: 16 },
      /decompresses to 128004000/,
    ],
  ]
  test.each(wrong)('[MS3] with %s is refused', async (_, rows, detail) => {
    await expect(decode(png(rows))).rejects.toMatchObject({
      code: 'invalid_request',
      detail: expect.stringMatching(detail) as unknown,
    })
  })
})

describe('a JPEG', () => {
  test.each([1, 2, 3, 4, 5, 6, 7, 8])(
    '[MS4] is turned as its camera says it was held: orientation %i',
    async (orientation) => {
      const photo = at('examples/cat.jpg')
      const plain = await decode(photo)
      for (const exif of exifOf(orientation)) {
        const { width, height, rgb } = await decode(withExif(photo, exif))
        const upright = setUpright(plain, exif)
        expect([width, height]).toEqual([upright.width, upright.height])
        expect(Buffer.from(rgb).equals(upright.rgb)).toBe(true)
      }
    },
  )

  test('[MS4] of an arithmetic, lossless or CMYK kind is refused', async () => {
    for (const [marker, components] of [
      [0xc9, 3],
      [0xc3, 3],
      [0xc0, 4],
    ] as const) {
      const file = Buffer.from(at('examples/cat.jpg'))
      const frame = file.indexOf(Buffer.of(0xff, 0xc0))
      file[frame + 1] = marker
      file[frame + 9] = components
      await expect(decode(new Uint8Array(file))).rejects.toMatchObject({ code: 'invalid_request' })
    }
  })
})

describe('a part of a picture', () => {
  const rgb = Uint8Array.from({ length: 4 * 4 * 3 }, (_, i) => ((i / 3) | 0) * 10)
  test('that covers all of it is the picture itself', () => {
    const part = { from: [0, 0], right: [4, 0], down: [0, 4], width: 4, height: 4 } as const
    expect([...sampleAcross({ width: 4, height: 4, rgb }, part)]).toEqual([...rgb])
  })

  test('turned by a quarter turns columns into rows', () => {
    const part = { from: [4, 0], right: [4, 4], down: [0, 0], width: 4, height: 4 } as const
    const turned = sampleAcross({ width: 4, height: 4, rgb }, part)
    expect([0, 1, 2, 3].map((x) => turned[x * 3])).toEqual([30, 70, 110, 150])
  })

  test('shrunk to one pixel is the mean', () => {
    const part = { from: [0, 0], right: [4, 0], down: [0, 4], width: 1, height: 1 } as const
    expect(sampleAcross({ width: 4, height: 4, rgb }, part)[0]).toBeCloseTo(75)
  })
})

interface Columns {
  readonly left: number | undefined
  readonly across: number | undefined
  readonly at: (x: number) => number
}

/** The samples of one row, packed. */
function packed(width: number, depth: number, { left = 0, across = 1, at: value }: Columns) {
  const row: number[] = []
  for (let x = left, bit = 0; x < width; x += across, bit += depth)
    row[bit >> 3] = (row[bit >> 3] ?? 0) | (value(x) << (8 - depth - (bit & 7)))
  return row
}

/** https://www.w3.org/TR/png-3/#9Filter-types */
function filtered(row: readonly number[], before: readonly number[], filter: number): number[] {
  return row.map((byte, i) => {
    const [a, b, c] = [row[i - 1] ?? 0, before[i] ?? 0, before[i - 1] ?? 0]
    const near = [a, b, c].toSorted((x, y) => Math.abs(a + b - c - x) - Math.abs(a + b - c - y))
    const guess = [0, a, b, Math.floor((a + b) / 2), near[0] ?? 0][filter] ?? 0
    return (byte - guess) & 0xff
  })
}

/** EXIF with an orientation in both byte orders; the second has another entry before it. */
function exifOf(orientation: number): Uint8Array[] {
  const big = Buffer.from('4d4d002a00000008000101120003000000010000000000000000', 'hex')
  big.writeUInt16BE(orientation, 18)
  const little = Buffer.from(
    '49492a000800000002000001040001000000070000001201030001000000000000000000'.padEnd(76, '0'),
    'hex',
  )
  little.writeUInt16LE(orientation, 30)
  // Some writers store a long.
  const long = Buffer.from('4d4d002a00000008000101120004000000010000000000000000', 'hex')
  long.writeUInt32BE(orientation, 18)
  return [big, little, long]
}

/** A JPEG with EXIF as APP1. */
function withExif(file: Uint8Array, tiff: Uint8Array): Uint8Array {
  const exif = Buffer.concat([Buffer.from('Exif\0\0'), tiff])
  const head = Buffer.of(0xff, 0xe1, 0, exif.length + 2)
  return new Uint8Array(Buffer.concat([file.subarray(0, 2), head, exif, file.subarray(2)]))
}
