/** Cuts a straightened and resized part out of a picture: bilinear, with several points a pixel when it shrinks. */
import type { Picture } from './picture.ts'

type Point = readonly [x: number, y: number]

export interface Part {
  /** Corner of the part's first pixel, in pixels of the picture. */
  readonly from: Point
  /** Corner at the end of its first row. */
  readonly right: Point
  /** Corner at the end of its first column. */
  readonly down: Point
  readonly width: number
  readonly height: number
}

/** More points a side do not improve a pixel visibly. */
const MAX_POINTS = 8

/** RGB of the part, 0 to 255, three floats a pixel. The picture's edge pixels continue outside of it. */
export function sampleAcross(picture: Picture, part: Part): Float32Array {
  const { from, right, down, width, height } = part
  const across: Point = [(right[0] - from[0]) / width, (right[1] - from[1]) / width]
  const along: Point = [(down[0] - from[0]) / height, (down[1] - from[1]) / height]
  const [columns, rows] = [points(across), points(along)]
  const out = new Float32Array(width * height * 3)
  for (let y = 0, at = 0; y < height; y++)
    for (let x = 0; x < width; x++, at += 3)
      for (let j = 0; j < rows; j++)
        for (let i = 0; i < columns; i++) {
          const u = x + (i + 0.5) / columns
          const v = y + (j + 0.5) / rows
          const px = from[0] + u * across[0] + v * along[0] - 0.5
          const py = from[1] + u * across[1] + v * along[1] - 0.5
          addPoint(picture, [px, py], { out, at, share: 1 / (columns * rows) })
        }
  return out
}

function points([x, y]: Point): number {
  return Math.min(MAX_POINTS, Math.max(1, Math.round(Math.hypot(x, y))))
}

interface Target {
  readonly out: Float32Array
  readonly at: number
  readonly share: number
}

function addPoint(picture: Picture, [px, py]: Point, { out, at, share }: Target): void {
  const { width, height, rgb } = picture
  const x = Math.min(width - 1, Math.max(0, px))
  const y = Math.min(height - 1, Math.max(0, py))
  const [left, top] = [Math.floor(x), Math.floor(y)]
  const [partX, partY] = [x - left, y - top]
  const aboveLeft = (top * width + left) * 3
  const nextColumn = left + 1 < width ? 3 : 0
  const nextRow = top + 1 < height ? width * 3 : 0
  for (let c = 0; c < 3; c++) {
    const a = rgb[aboveLeft + c] ?? 0
    const b = rgb[aboveLeft + nextColumn + c] ?? 0
    const d = rgb[aboveLeft + nextRow + c] ?? 0
    const e = rgb[aboveLeft + nextRow + nextColumn + c] ?? 0
    const above = a + (b - a) * partX
    const below = d + (e - d) * partX
    out[at + c] = (out[at + c] ?? 0) + (above + (below - above) * partY) * share
  }
}
