/**
 * Decodes PNG to RGB with fast-png, which decompresses everything in the file. So the chunks are read first, and only
 * those of the picture are kept, since profiles and texts may be bombs too. The rest is decompressed once to check
 * its size. https://www.w3.org/TR/png-3/
 */
import { concatBytes } from 'viem'
import { decode, type DecodedPng } from 'fast-png'
import { MIB } from '#shared/base/limits.ts'
import { joinPasses, PASSES, sampleAt } from './interlaced.ts'
import { badMedia } from './media-fault.ts'
import { setUpright } from './orientation.ts'
import { checkPictureSize, type Picture } from './picture.ts'

/** Unpacked rows of a PNG: sixteen megapixels of four 8-bit channels with their filter bytes. */
const IMAGE_BYTES = 72 * MIB

const SIGNATURE_BYTES = 8
const CRITICAL = new Set(['IHDR', 'PLTE', 'IDAT', 'IEND'])
const IHDR_BYTES = 13
const PALETTE = 3
/** Channels and allowed depths by colour type. */
const COLOURS: Readonly<Record<number, readonly [channels: number, ...depths: number[]]>> = {
  0: [1, 1, 2, 4, 8, 16],
  2: [3, 8, 16],
  3: [1, 1, 2, 4, 8],
  4: [2, 8, 16],
  6: [4, 8, 16],
}
const WHITE = 255

type Header = ReturnType<typeof readHeader>

interface Chunk {
  readonly type: string
  readonly data: Uint8Array
  /** With length, type and checksum. */
  readonly whole: Uint8Array
}

/** @throws {AppError} invalid_request */
export async function decodePng(file: Uint8Array): Promise<Picture> {
  const chunks = readChunks(file)
  const header = readHeader(chunks)
  const isOurs = header.isInterlaced && header.depth < 8
  const unfolded = await unfold(chunks, unfoldedBytes(header), isOurs)
  const kept = chunks.filter(
    ({ type }) => CRITICAL.has(type) || (type === 'tRNS' && header.colour === PALETTE),
  )
  const exif = chunks.find(({ type }) => type === 'eXIf')?.data
  const clean = concatBytes([file.subarray(0, SIGNATURE_BYTES), ...kept.map(({ whole }) => whole)])
  try {
    const png = isOurs ? ownDecode(unfolded, chunks, header) : decode(clean)
    return setUpright(toRgb(png, header), exif)
  } catch (cause) {
    throw badMedia('is a PNG file with a broken picture', cause)
  }
}

function readChunks(file: Uint8Array): Chunk[] {
  const view = new DataView(file.buffer, file.byteOffset, file.byteLength)
  const chunks: Chunk[] = []
  for (let offset = SIGNATURE_BYTES; offset + 12 <= file.length;) {
    const end = offset + 12 + view.getUint32(offset)
    if (end > file.length) break
    const type = String.fromCharCode(...file.subarray(offset + 4, offset + 8))
    const data = file.subarray(offset + 8, end - 4)
    chunks.push({ type, data, whole: file.subarray(offset, end) })
    if (type === 'IEND') return chunks
    offset = end
  }
  throw badMedia('is a PNG file that is cut off')
}

function readHeader(chunks: readonly Chunk[]) {
  const headers = chunks.filter(({ type }) => type === 'IHDR')
  const [{ data } = { data: new Uint8Array() }] = headers
  if (headers.length !== 1 || chunks[0]?.type !== 'IHDR' || data.length !== IHDR_BYTES)
    throw badMedia('is a PNG file without one header at its start')
  const view = new DataView(data.buffer, data.byteOffset, data.byteLength)
  const [width, height] = [view.getUint32(0), view.getUint32(4)]
  const [depth = 0, colour = 0, compression, filter, interlace = 0] = data.subarray(8)
  const [channels, ...depths] = COLOURS[colour] ?? [0]
  checkPictureSize(width, height)
  if (!depths.includes(depth) || compression !== 0 || filter !== 0 || interlace > 1)
    throw badMedia(`is a PNG file of a kind that does not exist (depth ${depth}, colour ${colour})`)
  const palettes = chunks.filter(({ type }) => type === 'PLTE')
  const sizeBytes = palettes[0]?.data.length ?? 0
  if (colour === PALETTE && (palettes.length !== 1 || sizeBytes % 3 !== 0 || sizeBytes > 768))
    throw badMedia('is a PNG file with a missing or broken palette')
  return { width, height, depth, colour, channels, isInterlaced: interlace === 1 }
}

function unfoldedBytes({ width, height, depth, channels, isInterlaced }: Header): number {
  const size = (columns: number, rows: number) =>
    columns === 0 ? 0 : rows * (1 + Math.ceil((columns * depth * channels) / 8))
  if (!isInterlaced) return size(width, height)
  return PASSES.reduce(
    (sum, [x, y, across, down]) =>
      sum +
      size(
        Math.max(0, Math.ceil((width - x) / across)),
        Math.max(0, Math.ceil((height - y) / down)),
      ),
    0,
  )
}

/** Decompresses the picture's data once to count it. @returns the data if `isKept`, else nothing */
async function unfold(
  chunks: readonly Chunk[],
  expectedBytes: number,
  isKept: boolean,
): Promise<Uint8Array> {
  if (expectedBytes > IMAGE_BYTES)
    throw badMedia(`decompresses to ${expectedBytes} bytes, at most ${IMAGE_BYTES} are allowed`)
  const parts = chunks.filter(({ type }) => type === 'IDAT').map(({ data }) => data)
  const packed = new ReadableStream<Uint8Array<ArrayBuffer>>({
    start(controller) {
      for (const part of parts) controller.enqueue(new Uint8Array(part))
      controller.close()
    },
  })
  const reader = packed.pipeThrough(new DecompressionStream('deflate')).getReader()
  const rows = new Uint8Array(isKept ? expectedBytes : 0)
  let unfolded = 0
  try {
    for (;;) {
      const { value, done } = await reader.read()
      if (done) break
      if (unfolded + value.length <= rows.length) rows.set(value, unfolded)
      unfolded += value.length
      if (unfolded > expectedBytes) break
    }
  } catch (cause) {
    throw badMedia('is a PNG file with data that cannot be decompressed', cause)
  } finally {
    // The first error is more useful than one from cancelling the stream.
    await reader.cancel().catch(() => {})
  }
  if (unfolded !== expectedBytes)
    throw badMedia(
      `is a PNG file whose data decompresses to ${unfolded > expectedBytes ? 'more' : 'less'} than its ${expectedBytes} bytes`,
    )
  return rows
}

type Decoded = Pick<DecodedPng, 'data' | 'palette'>

function ownDecode(unfolded: Uint8Array, chunks: readonly Chunk[], header: Header): Decoded {
  const dataOf = (name: string) => chunks.find(({ type }) => type === name)?.data ?? []
  const data = joinPasses(unfolded, header)
  if (header.colour !== PALETTE) return { data }
  const [colours, alphas] = [dataOf('PLTE'), dataOf('tRNS')]
  const palette = Array.from({ length: colours.length / 3 }, (_, i) => [
    ...colours.slice(3 * i, 3 * i + 3),
    alphas[i] ?? WHITE,
  ])
  return { data, palette: palette as NonNullable<DecodedPng['palette']> }
}

/** Converts to RGB; transparent pixels are blended with white. */
function toRgb(png: Decoded, { width, height, depth, channels }: Header): Picture {
  const rgb = new Uint8Array(width * height * 3)
  const sample = sampler(png, width, depth, channels)
  const { palette } = png
  const hasAlpha = channels === 2 || channels === 4
  for (let y = 0, out = 0; y < height; y++)
    for (let x = 0; x < width; x++, out += 3) {
      const colour = palette?.[sample(x, y, 0)]
      if (palette !== undefined && colour === undefined) throw new RangeError('no such colour')
      const alpha = colour?.[3] ?? (hasAlpha ? sample(x, y, channels - 1) : WHITE)
      for (let c = 0; c < 3; c++) {
        const value = colour?.[c] ?? sample(x, y, channels < 3 ? 0 : c)
        rgb[out + c] = WHITE + Math.round(((value - WHITE) * alpha) / WHITE)
      }
    }
  return { width, height, rgb }
}

/** Reads one sample as 0 to 255, or as an index into the palette. */
function sampler(
  { data, palette }: Decoded,
  width: number,
  depth: number,
  channels: number,
): (x: number, y: number, channel: number) => number {
  const rowBytes = Math.ceil((width * depth * channels) / 8)
  if (depth === 16) return (x, y, c) => (data[(y * width + x) * channels + c] ?? 0) >> 8
  if (depth === 8) return (x, y, c) => data[(y * width + x) * channels + c] ?? 0
  const scale = palette === undefined ? WHITE / (2 ** depth - 1) : 1
  const rows = new Uint8Array(data)
  return (x, y) => sampleAt(rows.subarray(y * rowBytes, (y + 1) * rowBytes), x, depth) * scale
}
