/** Pictures as files, PNG or JPEG, to RGB; what they claim to be is held against limits before anything is unfolded. */
import { LIMITS } from '#shared/limits.ts'
import { createJpegDecoder } from './jpeg.ts'
import { badMedia } from './media-fault.ts'
import { decodePng } from './png.ts'

/** Three bytes a pixel, rows from the top, without gaps. */
export interface Picture {
  readonly width: number
  readonly height: number
  readonly rgb: Uint8Array
}

/** @throws {AppError} invalid_request for a file that is no picture, is cut off or is larger than the limits */
export type DecodeImage = (file: Uint8Array) => Promise<Picture>

const PNG_SIGNATURE = [0x89, 0x50, 0x4e, 0x47, 0x0d, 0x0a, 0x1a, 0x0a]
const JPEG_SIGNATURE = [0xff, 0xd8, 0xff]

/** @param jpegWasm the module of `@jsquash/jpeg`, one of the model's own files: what it decodes is part of the answer */
export async function createImageDecoder(jpegWasm: Uint8Array): Promise<DecodeImage> {
  const decodeJpeg = await createJpegDecoder(jpegWasm)
  return (file) => {
    if (startsWith(file, PNG_SIGNATURE)) return decodePng(file)
    if (startsWith(file, JPEG_SIGNATURE)) return decodeJpeg(file)
    throw badMedia('is neither a PNG nor a JPEG file')
  }
}

/** @throws {AppError} invalid_request for sides or an area that no limit allows */
export function checkPictureSize(width: number, height: number): void {
  if (width < 1 || height < 1) throw badMedia(`is ${width}×${height} pixels`)
  const { imageSide, imagePixels } = LIMITS
  if (width > imageSide || height > imageSide || width * height > imagePixels)
    throw badMedia(
      `is ${width}×${height} pixels; at most ${imageSide} a side and ${imagePixels} in all are taken`,
    )
}

function startsWith(file: Uint8Array, signature: readonly number[]): boolean {
  return signature.every((byte, i) => file[i] === byte)
}
