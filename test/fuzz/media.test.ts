/** Decoders with damaged files and bombs: each file is read or refused by name, within time and memory. */
import { readFileSync } from 'node:fs'
import { afterAll, beforeAll, describe, expect, test, vi } from 'vitest'
import { decodeAudio, AUDIO_SECONDS } from '#engine/media/audio.ts'
import { createImageDecoder } from '#engine/media/image.ts'
import type { DecodeImage } from '#engine/media/picture.ts'
import { AppError } from '#shared/base/errors.ts'
import { MIB } from '#shared/base/limits.ts'
import { packZeroes, pngChunk, pngOf, wavOf } from '#test/support/engine/media-files.ts'
import { createRandom, type Random } from '../support/random.ts'
import { MEDIA_BYTES } from '#shared/job/model.ts'

const SEEDS = Array.from({ length: Number(process.env.LITTORAL_FUZZ_RUNS ?? 40) }, (_, i) => i + 1)
/** For one file. The largest valid ones take half a second on an idle machine. */
const MOST_MS = 10_000
const MOST_BYTES = 512 * MIB
const RATE_HZ = 16_000

const at = (path: string) => new Uint8Array(readFileSync(new URL(`../../${path}`, import.meta.url)))
const listen = (file: Uint8Array) => decodeAudio(file, RATE_HZ, new AbortController().signal)
let look: DecodeImage
// The MP3 decoder also prints its errors to the console.
const quiet = vi.spyOn(console, 'error').mockImplementation(() => {})
afterAll(() => quiet.mockRestore())
beforeAll(async () => {
  look = await createImageDecoder(at('node_modules/@jsquash/jpeg/codec/dec/mozjpeg_dec.wasm'))
})

type Read = (file: Uint8Array) => Promise<unknown>
const FILES: readonly (readonly [string, Read, Uint8Array])[] = [
  ['PNG', (file) => look(file), at('examples/nameplate.png')],
  ['JPEG', (file) => look(file), at('examples/cat.jpg')],
  ['WAV', listen, wavOf({ rateHz: 22_050, seconds: 1, channels: 2, sample: Math.sin })],
  ['FLAC', listen, at('test/fixtures/clip.flac')],
  ['MP3', listen, at('test/fixtures/clip.mp3')],
  ['Ogg Vorbis', listen, at('examples/speech.ogg')],
]

describe('[MS1] a damaged file is read or refused in bounded time', () => {
  test.each(FILES)('%s', async (_, read, file) => {
    let refused = 0
    for (const seed of SEEDS) {
      const random = createRandom(seed)
      const damaged = damage(file, random)
      const outcome = await timed(read, damaged)
      if (outcome.error !== undefined) refused += 1
      expect(outcome, `seed ${seed}`).toEqual({ error: outcome.error, isSoon: true })
    }
    expect(refused).toBeGreaterThan(0)
  })

  test('noise after each signature', async () => {
    for (const [name, read, file] of FILES)
      for (const seed of [1, 2, 3]) {
        const noise = createRandom(seed).bytes(200_000)
        noise.set(file.subarray(0, 64))
        expect(await timed(read, noise), `${name}, seed ${seed}`).toMatchObject({ isSoon: true })
      }
  })
})

describe('[MS3] [MS4] [MS5] a bomb is detected before it expands', () => {
  let huge: Uint8Array
  beforeAll(async () => {
    huge = await packZeroes(400)
  })

  test('a profile and a comment of 400 MiB beside a small picture are not decompressed', async () => {
    const profile = pngChunk('iCCP', Buffer.concat([Buffer.from('x\0\0'), huge]))
    const comment = pngChunk('zTXt', Buffer.concat([Buffer.from('Comment\0\0'), huge]))
    const file = pngOf({ width: 4, height: 4, fill: 9, extra: [profile, comment] })
    const { value, peakBytes } = await watched(() => look(file))
    expect(value).toMatchObject({ width: 4, height: 4 })
    expect(peakBytes).toBeLessThan(64 * MIB)
  })

  test('a picture whose data expands to 400 MiB', async () => {
    const file = pngOf({ width: 4, height: 4, fill: 0, packed: huge })
    const { error, peakBytes } = await watched(() => look(file))
    expect(error).toMatch(/decompresses to more/)
    expect(peakBytes).toBeLessThan(64 * MIB)
  })

  test('a JPEG of ten thousand scans', async () => {
    const photo = Buffer.from(at('examples/cat.jpg'))
    const scan = photo.subarray(photo.indexOf(Buffer.of(0xff, 0xda)), -2)
    const many = [
      photo.subarray(0, -2),
      ...Array.from({ length: 10_000 }, () => scan.subarray(0, 40)),
    ]
    const { error, tookMs } = await watched(() =>
      look(Buffer.concat([...many, photo.subarray(-2)])),
    )
    expect(error).toMatch(/scans/)
    expect(tookMs).toBeLessThan(MOST_MS)
  })

  test('hours of silence in a FLAC of 600 KB', async () => {
    const { error, peakBytes } = await watched(() => listen(silentFlac(50_000)))
    expect(error).toMatch(new RegExp(`longer than ${AUDIO_SECONDS} s`))
    expect(peakBytes).toBeLessThan(MOST_BYTES)
  })

  test('a WAV of one byte a frame that claims 65,535 channels', async () => {
    const file = Buffer.from(wavOf({ rateHz: 8_000, seconds: 100, channels: 1, sample: () => 0 }))
    file.writeUInt16LE(65_535, 22)
    file.writeUInt16LE(1, 32)
    const { error, peakBytes } = await watched(() => listen(new Uint8Array(file)))
    expect(error).toMatch(/channels/)
    expect(peakBytes).toBeLessThan(64 * MIB)
  })

  test.each(['FLAC', 'MP3', 'Ogg Vorbis'])(
    '8 MiB behind a %s head that never become sound',
    async (name) => {
      const head = FILES.find(([known]) => known === name)?.[2].subarray(0, 64) ?? new Uint8Array()
      const file = new Uint8Array(MEDIA_BYTES)
      file.set(head)
      const { error, tookMs } = await watched(() => listen(file))
      expect(error).toMatch(/no sound|broken|cut off/)
      expect(tookMs).toBeLessThan(MOST_MS)
    },
  )
})

/** Changes some bytes, or cuts out, doubles or moves a piece. */
function damage(file: Uint8Array, random: Random): Uint8Array {
  let bytes = Uint8Array.from(file)
  for (let n = 1 + random.below(4); n > 0; n--) {
    const from = random.below(random.chance(0.5) ? Math.min(200, bytes.length) : bytes.length)
    const length = random.below(Math.min(64, bytes.length - from))
    const piece = bytes.slice(from, from + length)
    const kind = random.below(4)
    if (kind === 0)
      bytes.set(random.bytes(Math.min(1 + random.below(8), bytes.length - from)), from)
    else if (kind === 1) bytes = join(bytes.subarray(0, from), bytes.subarray(from + length))
    else if (kind === 2) bytes = join(bytes.subarray(0, from), piece, bytes.subarray(from))
    else bytes = bytes.slice(0, Math.max(16, random.below(bytes.length)))
  }
  return bytes
}

function join(...parts: readonly Uint8Array[]): Uint8Array<ArrayBuffer> {
  return new Uint8Array(Buffer.concat(parts))
}

async function timed(read: Read, file: Uint8Array) {
  const { error, tookMs } = await watched(() => read(file))
  return { error, isSoon: tookMs < MOST_MS }
}

/** The outcome, its CPU time, and how far it raised the process's peak memory. */
async function watched<T>(work: () => Promise<T>) {
  const started = process.cpuUsage()
  const before = mostHeldBytes()
  let value: T | undefined
  let error: string | undefined
  try {
    value = await work()
  } catch (thrown) {
    if (!(thrown instanceof AppError) || thrown.code !== 'invalid_request') throw thrown
    error = thrown.detail
  }
  const peakBytes = mostHeldBytes() - before
  const { user, system } = process.cpuUsage(started)
  return { value, error, tookMs: (user + system) / 1_000, peakBytes }
}

function mostHeldBytes(): number {
  return process.resourceUsage().maxRSS * 1024
}

/** Frames of 65,535 samples in twelve bytes each: a constant of zero. https://www.rfc-editor.org/rfc/rfc9639 */
function silentFlac(frames: number): Uint8Array {
  const info = Buffer.alloc(34)
  info.writeUInt16BE(0xffff, 0)
  info.writeUInt16BE(0xffff, 2)
  // 44.1 kHz, one channel, 16 bits, of unknown length.
  info.writeUInt32BE((44_100 << 12) | (15 << 4), 10)
  const parts = [Buffer.from('fLaC'), Buffer.of(0x80, 0, 0, 34), info]
  for (let number = 0; number < frames; number++) {
    const head = Buffer.from([0xff, 0xf8, 0x79, 0x08, ...utf8(number), 0xff, 0xfe])
    const body = Buffer.concat([head, Buffer.of(crc(head, 8, 0x07)), Buffer.of(0, 0, 0)])
    const check = crc(body, 16, 0x8005)
    parts.push(body, Buffer.of(check >> 8, check & 0xff))
  }
  return new Uint8Array(Buffer.concat(parts))
}

/** FLAC numbers its frames in UTF-8's code. */
function utf8(number: number): number[] {
  return [...Buffer.from(String.fromCodePoint(number < 0xd800 ? number : number + 0x800))]
}

function crc(bytes: Uint8Array, width: 8 | 16, polynomial: number): number {
  const top = 1 << (width - 1)
  const mask = 2 ** width - 1
  let value = 0
  for (const byte of bytes) {
    value ^= byte << (width - 8)
    for (let bit = 0; bit < 8; bit++)
      value = ((value & top) === 0 ? value << 1 : (value << 1) ^ polynomial) & mask
  }
  return value
}
