/** Reads one line of text: resize to the recogniser's height, run, CTC greedy decode. */
import { AppError, faultsError, invariant } from '#shared/base/errors.ts'
import { encodeBytes, type TensorValue } from '#shared/job/tensor.ts'
import type { ModelRunner } from './runner.ts'
import { floatTensor } from './tensors.ts'
import {
  firstFloats,
  type FloatTensor,
  type RuntimeSession,
} from '#engine/runtime/runtime-session.ts'

/** Input height of PP-OCR recognisers: `rec_image_shape: 3,48,320` in PaddleOCR's configuration. */
export const LINE_HEIGHT = 48
export const MIN_LINE_WIDTH = 48
/** 40 times as wide as high. Longer lines are slow and recognised badly. */
export const MAX_LINE_WIDTH = 1920

export function createOcrLineRunner(session: RuntimeSession, keys: string): ModelRunner {
  const alphabet = parseAlphabet(keys)
  return {
    async run([image]) {
      invariant(image !== undefined, 'checkTensors passed one image')
      const { data, width } = prepareImage(image)
      const outputs = await session.run({
        x: { type: 'float32', data, dims: [1, 3, LINE_HEIGHT, width] },
      })
      const scores = await firstFloats(session, outputs)
      const { text, confidence } = decodeCtc(scores, alphabet)
      return [{ shape: [1], bytes: encodeBytes([text]) }, floatTensor([1], [confidence])]
    },
  }
}

/** Class 0 is CTC's blank, then the key file's lines, then the space. */
export function parseAlphabet(keys: string): string[] {
  const lines = keys.split(/\r?\n/)
  if (lines.at(-1) === '') lines.pop()
  return ['', ...lines, ' ']
}

/** Converts `[H, W, 3]` RGB bytes → `[3, 48, width]` in −1…1, bilinear with pixel centres aligned. */
export function prepareImage(image: TensorValue): { data: Float32Array; width: number } {
  const [height = 0, fullWidth = 0] = image.shape
  const width = Math.max(MIN_LINE_WIDTH, Math.round((fullWidth * LINE_HEIGHT) / height))
  if (width > MAX_LINE_WIDTH) {
    const detail = `is ${fullWidth}×${height}; one line may be at most ${MAX_LINE_WIDTH / LINE_HEIGHT} times as wide as high`
    throw faultsError([{ pointer: '/inputs/0/shape', detail }])
  }
  const data = new Float32Array(3 * LINE_HEIGHT * width)
  const columns = Array.from({ length: width }, (_, x) => sampleAt(x, width, fullWidth))
  for (let y = 0; y < LINE_HEIGHT; y++) {
    const row = sampleAt(y, LINE_HEIGHT, height)
    columns.forEach((column, x) => {
      for (let channel = 0; channel < 3; channel++) {
        const pixel = (line: number, at: number) =>
          image.bytes[(line * fullWidth + at) * 3 + channel] ?? 0
        const above = mix(pixel(row.low, column.low), pixel(row.low, column.high), column.part)
        const below = mix(pixel(row.high, column.low), pixel(row.high, column.high), column.part)
        data[(channel * LINE_HEIGHT + y) * width + x] = mix(above, below, row.part) / 127.5 - 1
      }
    })
  }
  return { data, width }
}

function sampleAt(index: number, size: number, fullSize: number) {
  const at = Math.min(fullSize - 1, Math.max(0, ((index + 0.5) * fullSize) / size - 0.5))
  const low = Math.floor(at)
  return { low, high: Math.min(fullSize - 1, low + 1), part: at - low }
}

function mix(a: number, b: number, part: number): number {
  return a + (b - a) * part
}

/** Reads the best class of each step without repeats and blanks. Confidence is the mean score of the kept steps, 0 for no text. */
export function decodeCtc(
  scores: FloatTensor,
  alphabet: readonly string[],
): { text: string; confidence: number } {
  const [, steps = 0, classes = 0] = scores.dims
  if (classes !== alphabet.length)
    throw new AppError(
      'internal',
      `The recogniser knows ${classes} classes, its keys ${alphabet.length}.`,
    )
  let text = ''
  let kept = 0
  let sum = 0
  let previous = 0
  for (let step = 0; step < steps; step++) {
    const row = scores.data.subarray(step * classes, (step + 1) * classes)
    let best = 0
    for (let i = 1; i < classes; i++) if ((row[i] ?? 0) > (row[best] ?? 0)) best = i
    if (best !== 0 && best !== previous) {
      text += alphabet[best] ?? ''
      sum += row[best] ?? 0
      kept += 1
    }
    previous = best
  }
  return { text, confidence: kept === 0 ? 0 : sum / kept }
}
