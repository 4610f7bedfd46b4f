/** A decoded picture, and the limits on its size. */
import { badMedia } from './media-fault.ts'
import { invariant } from '#shared/base/errors.ts'

const IMAGE_PIXELS = 1 << 24
const IMAGE_SIDE = 8_192
invariant(IMAGE_PIXELS <= IMAGE_SIDE ** 2, 'A square picture may have all pixels.')

/** Three bytes a pixel, rows from the top, without gaps. */
export interface Picture {
  readonly width: number
  readonly height: number
  readonly rgb: Uint8Array
}

/** @throws {AppError} invalid_request for a file that is not a picture, is cut off or exceeds the limits */
export type DecodeImage = (file: Uint8Array) => Promise<Picture>

/** @throws {AppError} invalid_request for sides or an area over the limits */
export function checkPictureSize(width: number, height: number): void {
  if (width < 1 || height < 1) throw badMedia(`is ${width}×${height} pixels`)
  if (width > IMAGE_SIDE || height > IMAGE_SIDE || width * height > IMAGE_PIXELS)
    throw badMedia(
      `is ${width}×${height} pixels; at most ${IMAGE_SIDE} a side and ${IMAGE_PIXELS} in all are allowed`,
    )
}
