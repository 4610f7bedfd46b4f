/** Decodes PNG and JPEG to RGB. Declared sizes are checked against limits before anything is decompressed. */
import { createJpegDecoder } from './jpeg.ts'
import { badMedia } from './media-fault.ts'
import type { DecodeImage } from './picture.ts'
import { decodePng } from './png.ts'

const PNG_SIGNATURE = [0x89, 0x50, 0x4e, 0x47, 0x0d, 0x0a, 0x1a, 0x0a]
const JPEG_SIGNATURE = [0xff, 0xd8, 0xff]

/** @param jpegWasm the module of `@jsquash/jpeg`, a file of the model, since its decoding affects the answer */
export async function createImageDecoder(jpegWasm: Uint8Array): Promise<DecodeImage> {
  const decodeJpeg = await createJpegDecoder(jpegWasm)
  return (file) => {
    if (startsWith(file, PNG_SIGNATURE)) return decodePng(file)
    if (startsWith(file, JPEG_SIGNATURE)) return decodeJpeg(file)
    throw badMedia('is neither a PNG nor a JPEG file')
  }
}

function startsWith(file: Uint8Array, signature: readonly number[]): boolean {
  return signature.every((byte, i) => file[i] === byte)
}
