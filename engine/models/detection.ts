/**
 * Detects objects in a picture with NanoDet. Each cell of three grids scores 80 classes. It gives the distance to
 * each side of the object as a distribution over eleven values (Generalized Focal Loss,
 * https://arxiv.org/abs/2006.04388).
 */
import { encodeBytes } from '#shared/job/tensor.ts'
import { cancelled } from '#shared/base/deadline.ts'
import type { DecodeImage, Picture } from '../media/picture.ts'
import { mediaInput } from '../media/media-input.ts'
import { sampleAcross } from '../media/sample-picture.ts'
import type { ModelRunner } from './runner.ts'
import { BLUE_GREEN_RED, floatTensor } from './tensors.ts'
import { readFloats, type RuntimeSession } from '#engine/runtime/runtime-session.ts'

/** Objects reported for one picture. */
const DETECTIONS = 100

const SIDE = 416
const STRIDES = [8, 16, 32] as const
const DISTANCES = 11
/** Means of blue, green and red: https://github.com/RangiLyu/nanodet/blob/6af8d32587a6577cd317f398acf63af296a03806/config/nanodet-g.yml */
const MEAN = [103.53, 116.28, 123.675] as const
const DEVIATION = [57.375, 57.12, 58.395] as const
const MIN_SCORE = 0.35
/** Boxes of one class that overlap more are one object. */
const MAX_OVERLAP = 0.6

export interface DetectionParts {
  readonly session: RuntimeSession
  /** One name a line, in the order of the graph's classes. */
  readonly labels: string
  readonly decodeImage: DecodeImage
}

type Sides = readonly [number, number, number, number]

interface Thing {
  readonly label: number
  readonly score: number
  readonly box: Sides
}

export function createDetectionRunner(parts: DetectionParts): ModelRunner {
  const { session, decodeImage } = parts
  const labels = parts.labels.split(/\r?\n/).filter((line) => line !== '')
  return {
    async run(inputs, signal) {
      const picture = await decodeImage(mediaInput(inputs))
      if (signal.aborted) throw cancelled()
      const fit = fitInto(picture)
      const outputs = await session.run({
        image: { type: 'float32', data: prepare(picture, fit), dims: [1, 3, SIDE, SIDE] },
      })
      const scores = await readFloats(outputs.scores)
      const sides = await readFloats(outputs.sides)
      const things = keepBest(readCells(scores.data, sides.data, labels.length))
      return [
        {
          shape: [things.length],
          bytes: encodeBytes(things.map(({ label }) => labels[label] ?? '')),
        },
        floatTensor(
          [things.length],
          things.map(({ score }) => score),
        ),
        floatTensor(
          [things.length, 4],
          things.flatMap(({ box }) => toPicture(box, fit, picture)),
        ),
      ]
    },
  }
}

type Fit = ReturnType<typeof fitInto>

function fitInto({ width, height }: Picture) {
  const scale = SIDE / Math.max(width, height)
  const size = (side: number) => Math.max(1, Math.round(side * scale))
  const [wide, high] = [size(width), size(height)]
  const [left, top] = [Math.floor((SIDE - wide) / 2), Math.floor((SIDE - high) / 2)]
  return { scale, left, top, width: wide, height: high }
}

/** Puts the picture in the middle of a black square, channels first. */
function prepare(picture: Picture, { left, top, width, height }: Fit): Float32Array {
  const pixels = sampleAcross(picture, {
    from: [0, 0],
    right: [picture.width, 0],
    down: [0, picture.height],
    width,
    height,
  })
  const data = new Float32Array(3 * SIDE * SIDE)
  for (const [c, channel] of BLUE_GREEN_RED.entries()) {
    const [mean, deviation] = [MEAN[c] ?? 0, DEVIATION[c] ?? 1]
    data.fill(-mean / deviation, c * SIDE * SIDE, (c + 1) * SIDE * SIDE)
    for (let y = 0; y < height; y++)
      for (let x = 0; x < width; x++)
        data[(c * SIDE + top + y) * SIDE + left + x] =
          ((pixels[(y * width + x) * 3 + channel] ?? 0) - mean) / deviation
  }
  return data
}

function readCells(scores: Float32Array, sides: Float32Array, classes: number): Thing[] {
  const things: Thing[] = []
  let cell = 0
  for (const stride of STRIDES) {
    const grid = SIDE / stride
    for (let y = 0; y < grid; y++)
      for (let x = 0; x < grid; x++, cell++)
        for (let label = 0; label < classes; label++) {
          const score = scores[cell * classes + label] ?? 0
          if (score < MIN_SCORE) continue
          const reach = (side: number) => expectedDistance(sides, cell * 4 + side) * stride
          const [cx, cy] = [(x + 0.5) * stride, (y + 0.5) * stride]
          const box: Sides = [cx - reach(0), cy - reach(1), cx + reach(2), cy + reach(3)]
          things.push({ label, score, box })
        }
  }
  return things
}

function expectedDistance(sides: Float32Array, row: number): number {
  const logits = sides.subarray(row * DISTANCES, (row + 1) * DISTANCES)
  const highest = Math.max(...logits)
  let [sum, weighted] = [0, 0]
  for (const [distance, logit] of logits.entries()) {
    const weight = Math.exp(logit - highest)
    sum += weight
    weighted += weight * distance
  }
  return weighted / sum
}

/** Applies greedy non-maximum suppression within each class. */
function keepBest(things: readonly Thing[]): Thing[] {
  const kept: Thing[] = []
  for (const thing of things.toSorted((a, b) => b.score - a.score)) {
    if (kept.length === DETECTIONS) break
    const isKnown = kept.some(
      ({ label, box }) => label === thing.label && overlap(box, thing.box) > MAX_OVERLAP,
    )
    if (!isKnown) kept.push(thing)
  }
  return kept
}

function overlap(a: Sides, b: Sides): number {
  const shared: Sides = [
    Math.max(a[0], b[0]),
    Math.max(a[1], b[1]),
    Math.min(a[2], b[2]),
    Math.min(a[3], b[3]),
  ]
  const both = area(shared)
  return both / (area(a) + area(b) - both)
}

function area([left, top, right, bottom]: Sides): number {
  return Math.max(0, right - left) * Math.max(0, bottom - top)
}

function toPicture([left, top, right, bottom]: Sides, fit: Fit, picture: Picture): number[] {
  const x = (value: number) => Math.min(picture.width, Math.max(0, (value - fit.left) / fit.scale))
  const y = (value: number) => Math.min(picture.height, Math.max(0, (value - fit.top) / fit.scale))
  return [x(left), y(top), x(right), y(bottom)]
}
