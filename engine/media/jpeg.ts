/**
 * Decodes JPEG to RGB with MozJPEG as wasm (`@jsquash/jpeg`). Each picture gets a new instance, so that no data is
 * left for the next tenant and memory is freed. Its markers are checked first.
 * https://www.w3.org/Graphics/JPEG/itu-t81.pdf, annex B
 */
import mozjpeg from '@jsquash/jpeg/codec/dec/mozjpeg_dec.js'
import { badMedia } from './media-fault.ts'
import { setUpright } from './orientation.ts'
import { checkPictureSize, type DecodeImage, type Picture } from './picture.ts'

/** Scans of a progressive JPEG. Encoders write about ten, and each costs a pass over the whole picture. */
const JPEG_SCANS = 32

const END = 0xd9
const SCAN = 0xda
/** APP1 holds EXIF or XMP. */
const APP1 = 0xe1
const EXIF = 'Exif\0\0'
/** Baseline, extended and progressive Huffman. The others are lossless, hierarchical or arithmetic. */
const FRAMES = [0xc0, 0xc1, 0xc2]
const NOT_FRAMES = [0xc4, 0xc8, 0xcc]

interface Decoded {
  /** Four bytes a pixel. */
  readonly data: Uint8ClampedArray
  readonly width: number
  readonly height: number
}

/** Emscripten's module; its own types need globals that they do not declare. */
type OpenCodec = (options: {
  readonly noInitialRun: boolean
  readonly print: () => void
  readonly printErr: () => void
  readonly instantiateWasm: (imports: object, done: (instance: object) => void) => object
}) => Promise<{ decode(file: Uint8Array, isTurned: boolean): Decoded | null }>

/** The part of WebAssembly used here: Node and workers share no type of it. */
interface Wasm {
  compile(bytes: Uint8Array): Promise<object>
  readonly Instance: new (module: object, imports: object) => { readonly exports: object }
}

const wasmApi = (globalThis as unknown as { readonly WebAssembly: Wasm }).WebAssembly

export async function createJpegDecoder(wasm: Uint8Array): Promise<DecodeImage> {
  const module = await wasmApi.compile(new Uint8Array(wasm))
  return async (file) => {
    const exif = checkMarkers(file)
    try {
      const codec = await instantiate(module)
      const decoded = codec.decode(new Uint8Array(file), false)
      if (decoded === null) throw new Error('no picture')
      return setUpright(toRgb(decoded), exif)
    } catch (cause) {
      throw badMedia('is a JPEG file with a broken picture', cause)
    }
  }
}

function instantiate(module: object) {
  return (mozjpeg as OpenCodec)({
    noInitialRun: true,
    print: () => {},
    printErr: () => {},
    instantiateWasm(imports, done) {
      const instance = new wasmApi.Instance(module, imports)
      done(instance)
      return instance.exports
    },
  })
}

/**
 * @returns the picture's EXIF, if any
 * @throws {AppError} invalid_request for an unsupported size, kind or number of scans, or a file without its end
 */
function checkMarkers(file: Uint8Array): Uint8Array | undefined {
  let exif: Uint8Array | undefined
  let frames = 0
  let scans = 0
  for (let offset = 2; offset + 1 < file.length;) {
    const marker = file[offset + 1] ?? 0
    if (file[offset] !== 0xff) throw badMedia('is a JPEG file with a gap between its parts')
    if (marker === 0xff) {
      offset += 1
      continue
    }
    if (marker === END) {
      if (frames === 1 && scans > 0) return exif
      throw badMedia('is a JPEG file without a picture')
    }
    const lengthBytes = ((file[offset + 2] ?? 0) << 8) | (file[offset + 3] ?? 0)
    if (isFrame(marker)) {
      frames += 1
      checkFrame(marker, file.subarray(offset + 4, offset + 10))
    }
    if (marker === APP1) exif ??= exifIn(file.subarray(offset + 4, offset + 2 + lengthBytes))
    offset += 2 + lengthBytes
    if (marker !== SCAN) continue
    scans += 1
    if (scans > JPEG_SCANS) throw badMedia(`is a JPEG file with more than ${JPEG_SCANS} scans`)
    offset = afterScan(file, offset)
  }
  throw badMedia('is a JPEG file that is cut off')
}

function exifIn(app: Uint8Array): Uint8Array | undefined {
  const head = String.fromCharCode(...app.subarray(0, EXIF.length))
  return head === EXIF ? app : undefined
}

function isFrame(marker: number): boolean {
  return marker >= 0xc0 && marker <= 0xcf && !NOT_FRAMES.includes(marker)
}

function checkFrame(
  marker: number,
  [, high = 0, low = 0, wide = 0, narrow = 0, parts = 0]: Uint8Array,
) {
  if (!FRAMES.includes(marker))
    throw badMedia(`is a JPEG file of an unsupported kind (marker 0x${marker.toString(16)})`)
  if (parts !== 1 && parts !== 3)
    throw badMedia(`is a JPEG file of ${parts} colour components; grey and YCbCr are supported`)
  checkPictureSize((wide << 8) | narrow, (high << 8) | low)
}

/** Finds the offset of the next marker that is neither a stuffed byte nor a restart. */
function afterScan(file: Uint8Array, start: number): number {
  for (let at = file.indexOf(0xff, start); at !== -1; at = file.indexOf(0xff, at + 1)) {
    const next = file[at + 1] ?? 0
    if (next !== 0 && next !== 0xff && (next < 0xd0 || next > 0xd7)) return at
  }
  return file.length
}

function toRgb({ data, width, height }: Decoded): Picture {
  const rgb = new Uint8Array(width * height * 3)
  for (let pixel = 0; pixel < width * height; pixel++) {
    rgb[pixel * 3] = data[pixel * 4] ?? 0
    rgb[pixel * 3 + 1] = data[pixel * 4 + 1] ?? 0
    rgb[pixel * 3 + 2] = data[pixel * 4 + 2] ?? 0
  }
  return { width, height, rgb }
}
