/** Sound byte by byte: kinds of WAV, sample rates, and speech segments from probabilities. */
import { readFileSync } from 'node:fs'
import { describe, expect, test } from 'vitest'
import { decodeAudio } from '#engine/media/audio.ts'
import { resample } from '#engine/media/resample.ts'
import { findSpeech } from '#engine/models/voice-activity.ts'
import { wavHead, wavOf } from '#test/support/engine/media-files.ts'

const listen = async (file: Uint8Array) =>
  (await decodeAudio(file, 16_000, new AbortController().signal)).samples

interface Kind {
  readonly format: number
  readonly bits: number
  readonly write: (into: Buffer, value: number, at: number) => void
}

/** One channel of 16 kHz. `before` holds chunks between format and data. */
function wav({ format, bits, write }: Kind, values: readonly number[], before = Buffer.alloc(0)) {
  const data = Buffer.alloc((values.length * bits) / 8)
  values.forEach((value, i) => write(data, value, (i * bits) / 8))
  const head = wavHead({ format, channels: 1, rateHz: 16_000, bits })
  const size = Buffer.alloc(8)
  size.write('data', 0, 'latin1')
  size.writeUInt32LE(data.length, 4)
  return new Uint8Array(Buffer.concat([head, before, size, data]))
}

const PCM16: Kind = { format: 1, bits: 16, write: (b, v, at) => b.writeInt16LE(v * 32_767, at) }
const VALUES = [0, 0.5, -0.5, 0.25]
const GUID_TAIL = Buffer.from('000000001000800000aa00389b71', 'hex')

function withBehind(file: Uint8Array, chunks: string): Uint8Array {
  return new Uint8Array(Buffer.concat([file, Buffer.from(chunks, 'latin1')]))
}

function patched(file: Uint8Array, at: number, value: number): Uint8Array {
  const copy = Buffer.from(file)
  copy.writeUInt32LE(value, at)
  return new Uint8Array(copy)
}

/** 16 bits a sample, in the extensible format. */
function extensible({ valid, tail }: { readonly valid: number; readonly tail: Buffer }) {
  const file = Buffer.from(wav(PCM16, VALUES))
  file.writeUInt16LE(0xfffe, 20)
  file.writeUInt32LE(26 + tail.length, 16)
  const more = Buffer.alloc(10)
  more.writeUInt16LE(22, 0)
  more.writeUInt16LE(valid, 2)
  more.writeUInt16LE(1, 8)
  return new Uint8Array(Buffer.concat([file.subarray(0, 36), more, tail, file.subarray(36)]))
}

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

  test('in the extensible format', async () => {
    expect(await listen(extensible({ valid: 16, tail: GUID_TAIL }))).toHaveLength(4)
  })

  test('with a comment of odd length before its sound', async () => {
    const comment = Buffer.concat([Buffer.from('LIST\x03\0\0\0abc'), Buffer.alloc(1)])
    expect(await listen(wav(PCM16, VALUES, comment))).toHaveLength(4)
  })

  const unknown: readonly (readonly [string, number])[] = [
    ['nothing', 0],
    ['ffmpeg', 0xffffffff],
    ['a writer that leaves its header out', 0xffffffff - 36],
    ['node-wav', 0xffffffff - 100],
    ['sox', 0x7ffff000],
    ['sox, three channels', 0x7ffff000 - (0x7ffff000 % 6)],
    ['libsndfile', 0x7fffffdb],
    ['a signed writer', 0x7fffffff],
    ['arecord', 0x80000000],
    ['arecord, three channels', 0x80000000 - (0x80000000 % 6)],
  ]
  test.each(unknown)('[MS5] of unknown length: %s', async (_, sizeBytes) => {
    const file = Buffer.from(wav(PCM16, VALUES))
    file.writeUInt32LE(sizeBytes, 40)
    file.writeUInt32LE(Math.min(sizeBytes + 36, 0xffffffff), 4)
    expect(await listen(new Uint8Array(file))).toHaveLength(4)
    // A pipe may end inside a sample.
    expect(await listen(new Uint8Array(file.subarray(0, -1)))).toHaveLength(3)
  })

  test('[MS5] whose length is in another chunk, as in RF64', async () => {
    const long = (sizeBytes: bigint, kind: string) => {
      const sizes = Buffer.alloc(36)
      sizes.write('ds64', 0, 'latin1')
      sizes.writeUInt32LE(28, 4)
      sizes.writeBigUInt64LE(sizeBytes, 16)
      const file = Buffer.from(wav(PCM16, VALUES))
      file.write(kind, 0, 'latin1')
      file.writeUInt32LE(0xffffffff, 4)
      file.writeUInt32LE(0xffffffff, 40)
      return new Uint8Array(Buffer.concat([file.subarray(0, 12), sizes, file.subarray(12)]))
    }
    expect(await listen(long(6n, 'RF64'))).toHaveLength(3)
    expect(await listen(long(0n, 'BW64'))).toHaveLength(4)
    expect(await listen(long(2n ** 64n - 1n, 'RF64'))).toHaveLength(4)
    await expect(listen(long(10n, 'RF64'))).rejects.toMatchObject({ code: 'invalid_request' })
  })

  test.each([10, 1_000_000, 0x10000000, 0x40000000])(
    '[MS5] that is %i bytes long and was cut is refused',
    async (sizeBytes) => {
      const file = Buffer.from(wav(PCM16, VALUES))
      file.writeUInt32LE(sizeBytes, 40)
      await expect(listen(new Uint8Array(file))).rejects.toMatchObject({
        detail: expect.stringMatching(/cut off/) as unknown,
      })
    },
  )

  test.each([
    [
      'NaN in it',
      wav({ format: 3, bits: 32, write: (b, v, at) => b.writeFloatLE(v, at) }, [0, NaN]),
      /NaN/,
    ],
    ['ADPCM in it', wav({ ...PCM16, format: 2 }, VALUES), /unsupported kind/],
    ['no samples', wav(PCM16, []), /no sound/],
    ['no samples and a comment', withBehind(wav(PCM16, []), 'LIST\x04\0\0\0abcd'), /no sound/],
    [
      'two parts of sound',
      withBehind(wav(PCM16, VALUES), 'LIST\x04\0\0\0abcddata\x02\0\0\0ab'),
      /two parts/,
    ],
    ['two rates', patched(wav(PCM16, VALUES), 28, 16_000), /16000 bytes a second/],
    ['more bits than fit', extensible({ valid: 24, tail: GUID_TAIL }), /24 bits of sound in/],
    ['a GUID of another kind', extensible({ valid: 16, tail: Buffer.alloc(14, 7) }), /kind/],
    ['a GUID cut off', extensible({ valid: 16, tail: GUID_TAIL.subarray(0, 9) }), /cut off/],
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

describe('a FLAC', () => {
  test('[MS5] of unknown length', async () => {
    const file = readFileSync(new URL('../../fixtures/clip.flac', import.meta.url))
    const whole = await listen(new Uint8Array(file))
    // The low half of the 13th byte and four more count the samples; sixteen bytes of a digest follow.
    file[21] = (file[21] ?? 0) & 0xf0
    file.fill(0, 22, 42)
    expect(await listen(new Uint8Array(file))).toEqual(whole)
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

  test('does not alias tones above the lower rate', () => {
    expect(loudness(resample(tone(12_000, 48_000), 48_000, 16_000))).toBeLessThan(0.001)
  })
})

describe('segments of speech', () => {
  const frames = (...runs: readonly (readonly [count: number, probability: number])[]) =>
    Float32Array.from(runs.flatMap(([count, p]) => Array.from({ length: count }, () => p)))
  const found = (probabilities: Float32Array) =>
    findSpeech(probabilities, probabilities.length * 0.032).map((pair) =>
      pair.map((s) => Number(s.toFixed(3))),
    )

  test('begin and end with padding', () => {
    expect(found(frames([10, 0], [20, 0.9], [10, 0]))).toEqual([[0.29, 0.99]])
  })
  test('are not split by a short silence or a doubtful frame', () => {
    expect(found(frames([10, 0.9], [2, 0], [10, 0.9], [20, 0.4], [10, 0.9]))).toEqual([[0, 1.664]])
  })
  test('are split by a long silence', () => {
    expect(found(frames([10, 0.9], [8, 0], [10, 0.9]))).toEqual([
      [0, 0.35],
      [0.546, 0.896],
    ])
  })
  test('ignore a click', () => {
    expect(found(frames([10, 0], [3, 0.9], [10, 0]))).toEqual([])
  })
})
