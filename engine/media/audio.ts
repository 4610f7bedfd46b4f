/** Decodes WAV, FLAC, MP3 and Ogg Vorbis to one channel, in small pieces, so that a decompression bomb is noticed early. */
import { AppError } from '#shared/base/errors.ts'
import { cancelled } from '#shared/base/deadline.ts'
import { badMedia } from './media-fault.ts'
import { resample } from './resample.ts'
import { cleanWav, AUDIO_CHANNELS } from './wav.ts'

export const AUDIO_SECONDS = 300

export interface Sound {
  /** −1 to 1. */
  readonly samples: Float32Array
  readonly rateHz: number
}

interface Decoded {
  readonly channelData: readonly Float32Array[]
  readonly sampleRate: number
}

interface Codec {
  decode(piece: Uint8Array): Decoded
  flush?(): Decoded
  free(): void
}

type Format = 'wav' | 'flac' | 'mp3' | 'ogg'

/** Compressed silence expands a millionfold. A piece of 1 KiB stays under 64 MiB. */
const PIECE_BYTES = 1024
/** A decoder without output after so many bytes is searching for a frame that does not exist. */
const STALL_BYTES = 256 * 1024
const MIN_RATE_HZ = 4_000
const MAX_RATE_HZ = 192_000
/** RF64 and BW64 are WAV for more than 4 GiB; programs that write to pipes use them too. */
const WAVES = new Set(['RIFF', 'RF64', 'BW64'])
/** Loaders of the decoders: a tab fetches only the one it needs. */
const CODECS: Readonly<Record<Format, () => Promise<{ decoder(): Codec | Promise<Codec> }>>> = {
  wav: () => import('@audio/decode-wav'),
  flac: () => import('@audio/decode-flac'),
  mp3: () => import('@audio/decode-mp3'),
  ogg: () => import('@audio/decode-vorbis'),
}

/** @throws {AppError} invalid_request for a file that is not sound, is broken or expands past the limits; cancelled */
export async function decodeAudio(
  file: Uint8Array,
  rateHz: number,
  signal: AbortSignal,
): Promise<Sound> {
  const format = formatOf(file)
  if (format === undefined) throw badMedia('is not a WAV, FLAC, MP3 or Ogg Vorbis file')
  const body = format === 'wav' ? cleanWav(file) : withoutTags(file, format)
  const codec = await (await CODECS[format]()).decoder()
  let sound: Sound
  try {
    sound = decodeInPieces(codec, body, pieceBytes(format, body), signal)
  } catch (error) {
    throw error instanceof AppError ? error : badMedia(`is a broken ${format} file`, error)
  } finally {
    codec.free()
  }
  return { samples: resample(sound.samples, sound.rateHz, rateHz), rateHz }
}

function decodeInPieces(codec: Codec, body: Uint8Array, pieceBytes: number, signal: AbortSignal) {
  const mixer = createMixer()
  let heardAt = 0
  for (let at = 0; at < body.length; at += pieceBytes) {
    if (signal.aborted) throw cancelled()
    if (mixer.add(codec.decode(body.slice(at, at + pieceBytes)))) heardAt = at
    else if (at - heardAt > STALL_BYTES)
      throw badMedia(`holds no sound in ${STALL_BYTES} bytes from byte ${heardAt}`)
  }
  if (codec.flush !== undefined) mixer.add(codec.flush())
  return mixer.finish()
}

/** PCM expands at most fourfold, and its decoder copies input that it has not processed yet. */
function pieceBytes(format: Format, body: Uint8Array): number {
  return format === 'wav' ? Math.max(1, body.length) : PIECE_BYTES
}

function createMixer() {
  const parts: Float32Array[] = []
  let rateHz = 0
  let count = 0
  return {
    /** @returns false when the piece decoded to nothing */
    add({ channelData, sampleRate }: Decoded): boolean {
      const samples = channelData[0]?.length ?? 0
      if (samples === 0) return false
      if (rateHz === 0) rateHz = checkRate(sampleRate)
      if (sampleRate !== rateHz) throw badMedia('changes its sample rate')
      if (channelData.length > AUDIO_CHANNELS)
        throw badMedia(`has ${channelData.length} channels, at most ${AUDIO_CHANNELS}`)
      count += samples
      if (count > AUDIO_SECONDS * rateHz) throw badMedia(`is longer than ${AUDIO_SECONDS} s`)
      parts.push(mixDown(channelData, samples))
      return true
    },
    finish(): Sound {
      if (count === 0) throw badMedia('holds no sound')
      const samples = new Float32Array(count)
      let offset = 0
      for (const part of parts) {
        samples.set(part, offset)
        offset += part.length
      }
      return { samples, rateHz }
    },
  }
}

function checkRate(rateHz: number): number {
  if (rateHz >= MIN_RATE_HZ && rateHz <= MAX_RATE_HZ) return rateHz
  throw badMedia(`has ${rateHz} samples a second; ${MIN_RATE_HZ} to ${MAX_RATE_HZ} are allowed`)
}

function mixDown(channels: readonly Float32Array[], count: number): Float32Array {
  const mixed = new Float32Array(count)
  for (const channel of channels)
    for (let i = 0; i < count; i++) mixed[i] = (mixed[i] ?? 0) + (channel[i] ?? 0) / channels.length
  if (mixed.some((value) => !Number.isFinite(value))) throw badMedia('holds NaN or infinity')
  return mixed
}

function formatOf(file: Uint8Array): Format | undefined {
  const text = (from: number, to: number) => String.fromCharCode(...file.subarray(from, to))
  if (WAVES.has(text(0, 4)) && text(8, 12) === 'WAVE') return 'wav'
  if (text(0, 4) === 'fLaC') return 'flac'
  // The first page holds only the identification header: 28 bytes of page, then its packet.
  if (text(0, 4) === 'OggS') return text(29, 35) === 'vorbis' ? 'ogg' : undefined
  const isFrame = file[0] === 0xff && ((file[1] ?? 0) & 0xe6) === 0xe2
  return text(0, 3) === 'ID3' || isFrame ? 'mp3' : undefined
}

/** Covers and comments may be megabytes, and are left out. */
function withoutTags(file: Uint8Array, format: Format): Uint8Array {
  if (format === 'mp3') return withoutId3(file)
  return format === 'flac' ? withoutFlacBlocks(file) : file
}

/** https://id3.org/id3v2.4.0-structure, section 3.1: ten bytes, the size in four times seven bits. */
function withoutId3(file: Uint8Array): Uint8Array {
  if (file[0] !== 0x49) return file
  const [a = 0, b = 0, c = 0, d = 0] = file.subarray(6, 10)
  const sizeBytes = ((a & 0x7f) << 21) | ((b & 0x7f) << 14) | ((c & 0x7f) << 7) | (d & 0x7f)
  const footerBytes = ((file[5] ?? 0) & 0x10) === 0 ? 0 : 10
  return file.subarray(10 + sizeBytes + footerBytes)
}

/** Keeps the first block, which describes the stream, and marks it as the last. https://www.rfc-editor.org/rfc/rfc9639#section-8 */
function withoutFlacBlocks(file: Uint8Array): Uint8Array {
  const headBytes = 4 + 4 + 34
  let at = 4
  for (let isLast = false; !isLast;) {
    if (at + 4 > file.length) throw badMedia('is a FLAC file that is cut off')
    const [flags = 0, a = 0, b = 0, c = 0] = file.subarray(at, at + 4)
    isLast = (flags & 0x80) !== 0
    at += 4 + ((a << 16) | (b << 8) | c)
  }
  if (at < headBytes || at > file.length) throw badMedia('is a FLAC file that is cut off')
  const clean = new Uint8Array(headBytes + file.length - at)
  clean.set(file.subarray(0, headBytes))
  clean[4] = 0x80
  clean.set(file.subarray(at), headBytes)
  return clean
}
