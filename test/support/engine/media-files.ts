/** Valid and malformed picture and sound files, made byte by byte. */
import { once } from 'node:events'
import { crc32, createDeflate, deflateSync } from 'node:zlib'

export interface PngOptions {
  readonly width: number
  readonly height: number
  readonly fill: number
  /** Rows that its data holds. @default height */
  readonly rows?: number
  /** Compressed data in place of rows. */
  readonly packed?: Uint8Array
  /** Chunks between header and data. */
  readonly extra?: readonly Uint8Array[]
}

const PNG_SIGNATURE = Uint8Array.of(0x89, 0x50, 0x4e, 0x47, 0x0d, 0x0a, 0x1a, 0x0a)

/** An 8-bit RGB picture in one colour. Its data holds `rows` rows, whatever its header says. */
export function pngOf({
  width,
  height,
  fill,
  rows = height,
  packed,
  extra = [],
}: PngOptions): Uint8Array {
  const row = Buffer.alloc(1 + 3 * width, fill)
  row[0] = 0
  const data = Buffer.alloc(packed === undefined ? row.length * rows : 0, row)
  return pngFile({ width, height, depth: 8, colour: 2 }, packed ?? deflateSync(data), extra)
}

export interface PngHeader {
  readonly width: number
  readonly height: number
  readonly depth: number
  readonly colour: number
  readonly interlace?: 0 | 1
}

/** A PNG of compressed rows, with more chunks before them. */
export function pngFile(
  { width, height, depth, colour, interlace = 0 }: PngHeader,
  packed: Uint8Array,
  extra: readonly Uint8Array[],
): Uint8Array {
  const header = Buffer.alloc(13)
  header.writeUInt32BE(width, 0)
  header.writeUInt32BE(height, 4)
  header.set([depth, colour, 0, 0, interlace], 8)
  const chunks = [pngChunk('IHDR', header), ...extra, pngChunk('IDAT', packed)]
  return new Uint8Array(
    Buffer.concat([PNG_SIGNATURE, ...chunks, pngChunk('IEND', new Uint8Array())]),
  )
}

export function pngChunk(type: string, data: Uint8Array): Uint8Array {
  const body = Buffer.concat([Buffer.from(type, 'latin1'), data])
  const chunk = Buffer.alloc(body.length + 8)
  chunk.writeUInt32BE(data.length, 0)
  chunk.set(body, 4)
  chunk.writeUInt32BE(crc32(body), body.length + 4)
  return chunk
}

/** A JPEG whose header declares another size. */
export function jpegOf(
  file: Uint8Array,
  { width, height }: { readonly width: number; readonly height: number },
): Uint8Array {
  const changed = Buffer.from(file)
  for (let at = 2; at < changed.length; at += 2 + changed.readUInt16BE(at + 2)) {
    const marker = changed[at + 1] ?? 0
    if (marker < 0xc0 || marker > 0xc2) continue
    changed.writeUInt16BE(height, at + 5)
    changed.writeUInt16BE(width, at + 7)
    break
  }
  return new Uint8Array(changed)
}

export interface WavOptions {
  readonly rateHz: number
  readonly seconds: number
  readonly channels: number
  /** −1 to 1, at a time in seconds. */
  readonly sample: (second: number) => number
}

/** PCM of 16 bits. */
export function wavOf({ rateHz, seconds, channels, sample }: WavOptions): Uint8Array {
  const frames = Math.round(rateHz * seconds)
  const file = Buffer.alloc(44 + frames * channels * 2)
  file.set(wavHead({ format: 1, channels, rateHz, bits: 16 }))
  file.writeUInt32LE(file.length - 8, 4)
  file.write('data', 36, 'latin1')
  file.writeUInt32LE(frames * channels * 2, 40)
  for (let i = 0; i < frames; i++) {
    const value = Math.round(sample(i / rateHz) * 32_767)
    for (let c = 0; c < channels; c++) file.writeInt16LE(value, 44 + (i * channels + c) * 2)
  }
  return new Uint8Array(file)
}

interface WavKind {
  readonly format: number
  readonly channels: number
  readonly rateHz: number
  readonly bits: number
}

/** The first 36 bytes of a WAV: its format, without a length. */
export function wavHead({ format, channels, rateHz, bits }: WavKind): Buffer {
  const head = Buffer.alloc(36)
  head.write('RIFF', 0, 'latin1')
  head.write('WAVEfmt ', 8, 'latin1')
  head.writeUInt32LE(16, 16)
  head.writeUInt16LE(format, 20)
  head.writeUInt16LE(channels, 22)
  head.writeUInt32LE(rateHz, 24)
  head.writeUInt32LE((rateHz * channels * bits) / 8, 28)
  head.writeUInt16LE((channels * bits) / 8, 32)
  head.writeUInt16LE(bits, 34)
  return head
}

/** Compresses this many MiB of zeroes without holding them in memory. */
export async function packZeroes(mebibytes: number): Promise<Uint8Array> {
  const deflate = createDeflate({ level: 9 })
  const parts: Buffer[] = []
  deflate.on('data', (part: Buffer) => parts.push(part))
  const zeroes = Buffer.alloc(1024 * 1024)
  for (let i = 0; i < mebibytes; i++) if (!deflate.write(zeroes)) await once(deflate, 'drain')
  deflate.end()
  await once(deflate, 'end')
  return Buffer.concat(parts)
}
