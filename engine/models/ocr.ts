/** Reads text in a picture: a detector finds the lines, each is cut out along its angle and recognised. */
import { encodeBytes } from '#shared/job/tensor.ts'
import { cancelled } from '#shared/base/deadline.ts'
import type { DecodeImage, Picture } from '../media/picture.ts'
import { mediaInput } from '../media/media-input.ts'
import { sampleAcross } from '../media/sample-picture.ts'
import { findTextBoxes, inReadingOrder, lengthBetween, type Box, type Point } from './ocr-boxes.ts'
import {
  decodeCtc,
  LINE_HEIGHT,
  MAX_LINE_WIDTH,
  MIN_LINE_WIDTH,
  parseAlphabet,
} from './ocr-line.ts'
import type { ModelRunner } from './runner.ts'
import { floatTensor, toPlanes } from './tensors.ts'
import { firstFloats, type RuntimeSession } from '#engine/runtime/runtime-session.ts'

/** Lines of text reported for one picture. */
const OCR_LINES = 200

/** Longer side of the detector's input, and the step of both sides. */
const MAX_SIDE = 960
const SIDE_STEP = 32
/** ImageNet's mean and deviation. PaddleOCR applies them to blue, green, red, as OpenCV orders pictures. */
const MEAN = [0.485, 0.456, 0.406] as const
const DEVIATION = [0.229, 0.224, 0.225] as const
/** Lines with less confidence are rarely text. */
const MIN_CONFIDENCE = 0.5
/** A line this much higher than wide is upright. */
const UPRIGHT = 1.5

export interface OcrParts {
  readonly detector: RuntimeSession
  readonly recogniser: RuntimeSession
  readonly keys: string
  readonly decodeImage: DecodeImage
}

interface Line {
  readonly box: Box
  readonly text: string
  readonly confidence: number
}

export function createOcrRunner({
  detector,
  recogniser,
  keys,
  decodeImage,
}: OcrParts): ModelRunner {
  const alphabet = parseAlphabet(keys)
  return {
    async run(inputs, signal) {
      const picture = await decodeImage(mediaInput(inputs))
      if (signal.aborted) throw cancelled()
      const lines: Line[] = []
      for (const box of await detect(detector, picture)) {
        if (signal.aborted) throw cancelled()
        const line = await read(recogniser, picture, box, alphabet)
        if (line.text.trim() !== '' && line.confidence >= MIN_CONFIDENCE)
          lines.push({ box, ...line })
      }
      return [
        { shape: [lines.length], bytes: encodeBytes(lines.map(({ text }) => text)) },
        floatTensor(
          [lines.length],
          lines.map(({ confidence }) => confidence),
        ),
        floatTensor(
          [lines.length, 4, 2],
          lines.flatMap(({ box }) => box.flat()),
        ),
      ]
    },
  }
}

async function detect(detector: RuntimeSession, picture: Picture): Promise<Box[]> {
  const [width, height] = detectorSize(picture)
  const corners = { from: [0, 0], right: [picture.width, 0], down: [0, picture.height] } as const
  const pixels = sampleAcross(picture, { ...corners, width, height })
  const data = toPlanes(pixels, (value, c) => (value / 255 - (MEAN[c] ?? 0)) / (DEVIATION[c] ?? 1))
  const outputs = await detector.run({ x: { type: 'float32', data, dims: [1, 3, height, width] } })
  const map = await firstFloats(detector, outputs)
  const scale: Point = [picture.width / width, picture.height / height]
  const boxes = findTextBoxes({ data: map.data, width, height }, OCR_LINES)
  return inReadingOrder(boxes.map((box) => toPicture(box, scale, picture)))
}

/** Computes the detector's input size: the picture's size up to {@link MAX_SIDE}, rounded to {@link SIDE_STEP}. */
function detectorSize({ width, height }: Picture): [width: number, height: number] {
  const scale = Math.min(1, MAX_SIDE / Math.max(width, height))
  const step = (side: number) =>
    Math.max(SIDE_STEP, Math.round((side * scale) / SIDE_STEP) * SIDE_STEP)
  return [step(width), step(height)]
}

function toPicture(box: Box, [across, down]: Point, { width, height }: Picture): Box {
  const place = ([x, y]: Point): Point => [
    Math.min(width, Math.max(0, x * across)),
    Math.min(height, Math.max(0, y * down)),
  ]
  const [a, b, c, d] = box
  return [place(a), place(b), place(c), place(d)]
}

async function read(
  recogniser: RuntimeSession,
  picture: Picture,
  box: Box,
  alphabet: readonly string[],
): Promise<Omit<Line, 'box'>> {
  const [from, right, , down] = lying(box)
  const ratio = lengthBetween(from, right) / Math.max(1, lengthBetween(from, down))
  const wanted = Math.round(LINE_HEIGHT * ratio)
  const width = Math.min(MAX_LINE_WIDTH, Math.max(MIN_LINE_WIDTH, wanted))
  const pixels = sampleAcross(picture, { from, right, down, width, height: LINE_HEIGHT })
  const data = toPlanes(pixels, (value) => value / 127.5 - 1)
  const dims = [1, 3, LINE_HEIGHT, width]
  const outputs = await recogniser.run({ x: { type: 'float32', data, dims } })
  return decodeCtc(await firstFloats(recogniser, outputs), alphabet)
}

/** Turns an upright line by a quarter, as PaddleOCR does. */
function lying(box: Box): Box {
  const [a, b, c, d] = box
  return lengthBetween(a, d) >= UPRIGHT * lengthBetween(a, b) ? [b, c, d, a] : box
}
