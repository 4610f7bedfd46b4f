/** Sound byte by byte: kinds of WAV, rates, and the stretches of speech that probabilities make. */
import { describe, expect, test } from 'vitest'
import { decodeAudio } from '#engine/media/audio.ts'
import { resample } from '#engine/media/resample.ts'
import { findSpeech } from '#engine/models/voice-activity.ts'
import { wavOf } from '../../support/media-files.ts'

const listen = async (file: Uint8Array) =>
  (await decodeAudio(file, 16_000, new AbortController().signal)).samples

interface Kind {
  readonly format: number
  readonly bits: number
  readonly write: (into: Buffer, value: number, at: number) => void
}

/** One channel of 16 kHz; `before` are chunks between format and data. */
function wav({ format, bits, write }: Kind, values: readonly number[], before = Buffer.alloc(0)) {
  const data = Buffer.alloc((values.length * bits) / 8)
  values.forEach((value, i) => write(data, value, (i * bits) / 8))
  const head = Buffer.alloc(36)
  head.write('RIFF', 0, 'latin1')
  head.write('WAVEfmt ', 8, 'latin1')
  head.writeUInt32LE(16, 16)
  head.writeUInt16LE(format, 20)
  head.writeUInt16LE(1, 22)
  head.writeUInt32LE(16_000, 24)
  head.writeUInt32LE((16_000 * bits) / 8, 28)
  head.writeUInt16LE(bits / 8, 32)
  head.writeUInt16LE(bits, 34)
  const size = Buffer.alloc(8)
  size.write('data', 0, 'latin1')
  size.writeUInt32LE(data.length, 4)
  return new Uint8Array(Buffer.concat([head, before, size, data]))
}

const PCM16: Kind = { format: 1, bits: 16, write: (b, v, at) => b.writeInt16LE(v * 32_767, at) }
const VALUES = [0, 0.5, -0.5, 0.25]

describe('a WAV', () => {
  const kinds: readonly (readonly [string, Kind])[] = [
    ['8 bits', { format: 1, bits: 8, write: (b, v, at) => b.writeUInt8(v * 127 + 128, at) }],
    ['16 bits', PCM16],
    [
      '24 bits',
      { format: 1, bits: 24, write: (b, v, at) => b.writeIntLE(Math.trunc(v * 8_388_607), at, 3) },
    ],
    [
      '32 bits',
      { format: 1, bits: 32, write: (b, v, at) => b.writeInt32LE(v * 2_147_483_647, at) },
    ],
    ['floats', { format: 3, bits: 32, write: (b, v, at) => b.writeFloatLE(v, at) }],
    ['doubles', { format: 3, bits: 64, write: (b, v, at) => b.writeDoubleLE(v, at) }],
  ]
  test.each(kinds)('of %s', async (_, kind) => {
    const samples = await listen(wav(kind, VALUES))
    expect(samples).toHaveLength(4)
    VALUES.forEach((value, i) => expect(samples[i]).toBeCloseTo(value, 1.5))
  })

  test('with a comment of an odd length before its sound', async () => {
    const comment = Buffer.concat([Buffer.from('LIST\x03\0\0\0abc'), Buffer.alloc(1)])
    expect(await listen(wav(PCM16, VALUES, comment))).toHaveLength(4)
  })

  test('whose writer did not know its length', async () => {
    const file = Buffer.from(wav(PCM16, VALUES))
    file.writeUInt32LE(0xffffffff, 40)
    expect(await listen(new Uint8Array(file))).toHaveLength(4)
  })

  test.each([
    [
      'NaN in it',
      wav({ format: 3, bits: 32, write: (b, v, at) => b.writeFloatLE(v, at) }, [0, NaN]),
      /NaN/,
    ],
    ['ADPCM in it', wav({ ...PCM16, format: 2 }, VALUES), /kind that is not taken/],
    ['no samples', wav(PCM16, []), /no sound/],
    [
      'a rate of 1 Hz',
      wavOf({ rateHz: 1, seconds: 9, channels: 1, sample: () => 0 }),
      /1 samples a second/,
    ],
    [
      'nine channels',
      wavOf({ rateHz: 8_000, seconds: 1, channels: 9, sample: () => 0 }),
      /9 channels/,
    ],
    [
      'six minutes',
      wavOf({ rateHz: 4_000, seconds: 360, channels: 1, sample: () => 0 }),
      /longer than 300 s/,
    ],
  ])('with %s is refused', async (_, file, detail) => {
    await expect(listen(file)).rejects.toMatchObject({
      code: 'invalid_request',
      detail: expect.stringMatching(detail) as unknown,
    })
  })
})

describe('another rate', () => {
  const tone = (hz: number, rateHz: number) =>
    Float32Array.from({ length: rateHz }, (_, i) => Math.sin((2 * Math.PI * hz * i) / rateHz))
  const loudness = (samples: Float32Array) =>
    Math.sqrt(
      samples.subarray(500, -500).reduce((sum, v) => sum + v * v, 0) / (samples.length - 1_000),
    )

  test.each([8_000, 22_050, 44_100, 48_000])(
    'keeps a tone of 1 kHz from %i Hz, sample by sample',
    (rateHz) => {
      const resampled = resample(tone(1_000, rateHz), rateHz, 16_000)
      const expected = tone(1_000, 16_000)
      expect(resampled).toHaveLength(16_000)
      const worst = Math.max(
        ...resampled
          .subarray(500, -500)
          .map((value, i) => Math.abs(value - (expected[i + 500] ?? NaN))),
      )
      expect(worst).toBeLessThan(0.01)
    },
  )

  test('folds no tone back that the lower rate cannot hold', () => {
    expect(loudness(resample(tone(12_000, 48_000), 48_000, 16_000))).toBeLessThan(0.001)
  })
})

describe('stretches of speech', () => {
  const frames = (...runs: readonly (readonly [count: number, probability: number])[]) =>
    Float32Array.from(runs.flatMap(([count, p]) => Array.from({ length: count }, () => p)))
  const found = (probabilities: Float32Array) =>
    findSpeech(probabilities, probabilities.length * 0.032).map((pair) =>
      pair.map((s) => Number(s.toFixed(3))),
    )

  test('begin and end with a little room', () => {
    expect(found(frames([10, 0], [20, 0.9], [10, 0]))).toEqual([[0.29, 0.99]])
  })
  test('are not cut by a short silence, and not by a doubt', () => {
    expect(found(frames([10, 0.9], [2, 0], [10, 0.9], [20, 0.4], [10, 0.9]))).toEqual([[0, 1.664]])
  })
  test('are cut by a long one', () => {
    expect(found(frames([10, 0.9], [8, 0], [10, 0.9]))).toEqual([
      [0, 0.35],
      [0.546, 0.896],
    ])
  })
  test('are not made of a click', () => {
    expect(found(frames([10, 0], [3, 0.9], [10, 0]))).toEqual([])
  })
})
