/** A decoded picture, and the limits on its size. */
import { LIMITS } from '#shared/base/limits.ts'
import { badMedia } from './media-fault.ts'

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
  const { imageSide, imagePixels } = LIMITS
  if (width > imageSide || height > imageSide || width * height > imagePixels)
    throw badMedia(
      `is ${width}×${height} pixels; at most ${imageSide} a side and ${imagePixels} in all are allowed`,
    )
}
