/** Pictures and sound in every engine: the contents of real files, and the reasons for refusals. */
import { readFileSync } from 'node:fs'
import { describe, expect, test } from 'vitest'
import type { Engine } from '#engine/engine.ts'
import { decodeFloats, decodeTexts, encodeBytes } from '#shared/job/tensor.ts'
import { modelJob } from '#test/support/engine/engine-jobs.ts'
import { jpegOf, pngOf, wavOf } from '#test/support/engine/media-files.ts'
import { runJob } from '#test/support/engine/run-job.ts'

export const MEDIA_MODELS = ['pp-ocr', 'nanodet-g', 'silero-vad'] as const
type MediaModel = (typeof MEDIA_MODELS)[number]

/** Upper left and lower right corner of the plate's lines in the picture, to a few pixels. */
const PLATE = [
  { text: 'LITTORAL PUMP 7', from: [64, 42], to: [344, 88] },
  { text: 'Serial No. LP-2026-0417', from: [65, 85], to: [355, 130] },
  { text: 'Flow 12.5 m3/h', from: [67, 136], to: [255, 174] },
  { text: 'Made in Lisbon', from: [246, 172], to: [399, 205] },
]
const NEAR_PIXELS = 6
/** Start and end of the two sentences in the sound, in seconds. */
const SPOKEN = [
  [0.8, 3.07],
  [4.27, 5.86],
] as const
const NEAR_S = 0.35

export function describeMedia(engine: () => Engine): void {
  const run = async (model: MediaModel, file: Uint8Array) => {
    const { answer, bytes } = await runJob(engine(), modelJob(model, [[1], encodeBytes([file])]))
    let offset = 0
    const parts = answer.outputs.map(({ sizeBytes }) =>
      bytes.subarray(offset, (offset += sizeBytes)),
    )
    return { shapes: answer.outputs.map(({ shape }) => shape), parts }
  }

  test('a tilted nameplate is read line by line, with the place of each', async () => {
    const { shapes, parts } = await run('pp-ocr', example('nameplate.png'))
    expect(shapes).toEqual([[4], [4], [4, 4, 2]])
    const [texts, confidences, boxes] = parts
    // The recogniser was trained on Chinese, which has no spaces between words: it leaves some out.
    expect(decodeTexts(texts ?? new Uint8Array()).map(withoutSpaces)).toEqual(
      PLATE.map(({ text }) => withoutSpaces(text)),
    )
    for (const value of decodeFloats(confidences ?? new Uint8Array()))
      expect(value).toBeGreaterThan(0.9)
    const corners = decodeFloats(boxes ?? new Uint8Array())
    for (const [line, { from, to }] of PLATE.entries()) {
      const [xs, ys] = [0, 1].map((axis) =>
        [0, 1, 2, 3].map((corner) => corners[line * 8 + corner * 2 + axis] ?? NaN),
      )
      const found = [
        Math.min(...(xs ?? [])),
        Math.min(...(ys ?? [])),
        Math.max(...(xs ?? [])),
        Math.max(...(ys ?? [])),
      ]
      for (const [i, value] of [...from, ...to].entries())
        expect(Math.abs((found[i] ?? NaN) - value)).toBeLessThan(NEAR_PIXELS)
    }
  })

  test('an empty picture gives no text and no objects', async () => {
    const blank = pngOf({ width: 64, height: 48, fill: 200 })
    expect((await run('pp-ocr', blank)).shapes).toEqual([[0], [0], [0, 4, 2]])
    expect((await run('nanodet-g', blank)).shapes).toEqual([[0], [0], [0, 4]])
  })

  test('a cat is found in its photo and fills it', async () => {
    const { parts } = await run('nanodet-g', example('cat.jpg'))
    const [labels, scores, boxes] = parts
    expect(decodeTexts(labels ?? new Uint8Array())[0]).toBe('cat')
    expect(decodeFloats(scores ?? new Uint8Array())[0]).toBeGreaterThan(0.45)
    const [left = NaN, top = NaN, right = NaN, bottom = NaN] = decodeFloats(
      boxes ?? new Uint8Array(),
    )
    expect((right - left) * (bottom - top)).toBeGreaterThan(0.8 * 451 * 300)
  })

  test('two sentences are found at their times, with silence between them', async () => {
    const { shapes, parts } = await run('silero-vad', example('speech.ogg'))
    expect(shapes).toEqual([[2, 2], [202]])
    const times = decodeFloats(parts[0] ?? new Uint8Array())
    for (const [i, second] of SPOKEN.flat().entries())
      expect(Math.abs((times[i] ?? NaN) - second)).toBeLessThan(NEAR_S)
  })

  test.each(['clip.flac', 'clip.mp3'])('speech is found in %s', async (name) => {
    const { parts } = await run('silero-vad', fixture(name))
    const [from = NaN, to = NaN] = decodeFloats(parts[0] ?? new Uint8Array())
    expect(from).toBeLessThan(0.2)
    expect(to).toBeGreaterThan(0.8)
  })

  test('a tone and noise are not speech, at any rate and in stereo', async () => {
    const tone = wavOf({
      rateHz: 44_100,
      seconds: 1,
      channels: 2,
      sample: (s) => Math.sin(2 * Math.PI * 440 * s) / 2,
    })
    expect((await run('silero-vad', tone)).shapes).toEqual([[0, 2], [32]])
    let state = 1
    const noise = () => ((state = (state * 48_271) % 0x7fffffff) / 0x7fffffff - 0.5) / 20
    const hiss = wavOf({ rateHz: 8_000, seconds: 1, channels: 1, sample: noise })
    expect((await run('silero-vad', hiss)).shapes).toEqual([[0, 2], [32]])
  })

  const refused: readonly (readonly [string, MediaModel, Uint8Array, RegExp])[] = [
    ['no file at all', 'pp-ocr', new Uint8Array(), /empty/],
    [
      'a text for a picture',
      'pp-ocr',
      new TextEncoder().encode('hello'),
      /neither a PNG nor a JPEG/,
    ],
    ['a PNG without its end', 'pp-ocr', example('nameplate.png').subarray(0, 9_000), /cut off/],
    ['a JPEG without its end', 'nanodet-g', example('cat.jpg').subarray(0, 9_000), /cut off/],
    [
      'a PNG that claims 4 gigapixels',
      'pp-ocr',
      pngOf({ width: 65_536, height: 65_536, fill: 0, rows: 1 }),
      /65536×65536/,
    ],
    [
      'a JPEG that claims 4 gigapixels',
      'nanodet-g',
      jpegOf(example('cat.jpg'), { width: 65_535, height: 65_535 }),
      /65535×65535/,
    ],
    [
      'a PNG of one pixel that decompresses to 64 MiB',
      'pp-ocr',
      pngOf({ width: 1, height: 1, fill: 0, rows: 1 << 24 }),
      /more than its 4 bytes/,
    ],
    ['a picture for a sound', 'silero-vad', example('cat.jpg'), /not a WAV, FLAC, MP3 or Ogg/],
    [
      'a WAV without its end',
      'silero-vad',
      wavOf({ rateHz: 16_000, seconds: 1, channels: 1, sample: () => 0 }).subarray(0, 999),
      /cut off/,
    ],
  ]
  describe('[MS1] an unusable file is refused with a pointer to its element', () => {
    test.each(refused)('%s', async (_, model, file, detail) => {
      const failing = expect(run(model, file)).rejects
      await failing.toMatchObject({
        code: 'invalid_request',
        meta: {
          errors: [
            { pointer: '/inputs/0/data/0', detail: expect.stringMatching(detail) as unknown },
          ],
        },
      })
    })
  })
}

function example(name: string): Uint8Array {
  return new Uint8Array(readFileSync(new URL(`../../examples/${name}`, import.meta.url)))
}

function fixture(name: string): Uint8Array {
  return new Uint8Array(readFileSync(new URL(`../fixtures/${name}`, import.meta.url)))
}

function withoutSpaces(text: string): string {
  return text.replaceAll(' ', '')
}
