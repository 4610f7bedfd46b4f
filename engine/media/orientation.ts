/**
 * Turns a picture upright by EXIF's orientation, which JPEG and PNG share.
 * https://www.cipa.jp/std/documents/e/DC-X008-Translation-2019-E.pdf, 4.6.4 A
 */
import type { Picture } from './picture.ts'

const ORIENTATION = 0x0112
const SHORT = 3
const LONG = 4
const ENTRY_BYTES = 12
const EXIF_HEADER = [0x45, 0x78, 0x69, 0x66, 0, 0]

interface Turn {
  readonly swaps: boolean
  /** Whether the file's columns, or rows, are counted from their end. */
  readonly fromRight: boolean
  readonly fromBottom: boolean
}

const TURNS: Readonly<Record<number, Turn>> = {
  2: { swaps: false, fromRight: true, fromBottom: false },
  3: { swaps: false, fromRight: true, fromBottom: true },
  4: { swaps: false, fromRight: false, fromBottom: true },
  5: { swaps: true, fromRight: false, fromBottom: false },
  6: { swaps: true, fromRight: false, fromBottom: true },
  7: { swaps: true, fromRight: true, fromBottom: true },
  8: { swaps: true, fromRight: true, fromBottom: false },
}

/** @param exif the file's own, if any; unreadable EXIF turns nothing */
export function setUpright(picture: Picture, exif: Uint8Array | undefined): Picture {
  const turn = TURNS[exif === undefined ? 1 : readOrientation(exif)]
  return turn === undefined ? picture : turned(picture, turn)
}

function readOrientation(exif: Uint8Array): number {
  // Some PNG writers keep the header that precedes EXIF in a JPEG.
  const tiff = EXIF_HEADER.every((byte, i) => exif[i] === byte) ? exif.subarray(6) : exif
  const view = new DataView(tiff.buffer, tiff.byteOffset, tiff.byteLength)
  const isLittle = tiff[0] === 0x49 && tiff[1] === 0x49
  const short = (at: number) => (at + 2 <= tiff.length ? view.getUint16(at, isLittle) : 0)
  const directory = tiff.length < 8 ? tiff.length : view.getUint32(4, isLittle)
  const end = Math.min(tiff.length, directory + 2 + short(directory) * ENTRY_BYTES)
  for (let at = directory + 2; at + ENTRY_BYTES <= end; at += ENTRY_BYTES)
    if (short(at) === ORIENTATION) {
      const kind = short(at + 2)
      if (kind === LONG) return view.getUint32(at + 8, isLittle)
      return kind === SHORT ? short(at + 8) : 1
    }
  return 1
}

function turned({ width, height, rgb }: Picture, { swaps, fromRight, fromBottom }: Turn): Picture {
  const upright = new Uint8Array(rgb.length)
  const [wide, high] = swaps ? [height, width] : [width, height]
  for (let y = 0, out = 0; y < high; y++)
    for (let x = 0; x < wide; x++, out += 3) {
      const [column, row] = swaps ? [y, x] : [x, y]
      const from =
        (fromBottom ? height - 1 - row : row) * width + (fromRight ? width - 1 - column : column)
      for (let c = 0; c < 3; c++) upright[out + c] = rgb[from * 3 + c] ?? 0
    }
  return { width: wide, height: high, rgb: upright }
}
