/**
 * Finds boxes of text lines in a detector's probability map: DB's post-processing (https://arxiv.org/abs/1911.08947,
 * section 3.3) with PaddleOCR's thresholds. Each component of likely pixels gets its smallest rectangle, enlarged by
 * what the detector was trained to shrink it.
 */

/** A corner, in pixels of the map or of the picture. */
export type Point = readonly [x: number, y: number]
/** Corners clockwise from the one where the line's reading begins. */
export type Box = readonly [Point, Point, Point, Point]

export interface ProbabilityMap {
  readonly data: Float32Array
  readonly width: number
  readonly height: number
}

const PIXEL_THRESHOLD = 0.3
const BOX_THRESHOLD = 0.6
const UNCLIP_RATIO = 1.5
/** Shorter side before and after growing, in pixels of the map. */
const MIN_SIDE = 3
const MIN_GROWN_SIDE = 5

/** @param most maximum number of boxes; the largest components come first */
export function findTextBoxes(map: ProbabilityMap, most: number): Box[] {
  return findComponents(map)
    .filter(({ mean }) => mean >= BOX_THRESHOLD)
    .toSorted((a, b) => b.pixels - a.pixels)
    .slice(0, most)
    .flatMap(({ outline }) => {
      const tight = smallestRectangle(convexHull(outline))
      if (tight === undefined || Math.min(tight.width, tight.height) < MIN_SIDE) return []
      const { width, height } = tight
      const distance = (width * height * UNCLIP_RATIO) / (2 * (width + height))
      const grown = { ...tight, width: width + 2 * distance, height: height + 2 * distance }
      return Math.min(grown.width, grown.height) < MIN_GROWN_SIDE ? [] : [toCorners(grown)]
    })
}

/** Sorts from top to bottom, and from left to right within a row. */
export function inReadingOrder(boxes: readonly Box[]): Box[] {
  const rows: Box[][] = []
  for (const box of boxes.toSorted((a, b) => middle(a) - middle(b))) {
    const row = rows.at(-1)
    const first = row?.[0]
    const isBeside =
      first !== undefined && middle(box) - middle(first) < lengthBetween(first[0], first[3]) / 2
    if (row !== undefined && isBeside) row.push(box)
    else rows.push([box])
  }
  return rows.flatMap((row) => row.toSorted((a, b) => a[0][0] - b[0][0]))
}

export function lengthBetween([x, y]: Point, [u, v]: Point): number {
  return Math.hypot(u - x, v - y)
}

function middle(box: Box): number {
  return box.reduce((sum, [, y]) => sum + y, 0) / 4
}

interface Component {
  readonly pixels: number
  readonly mean: number
  /** Each row's first and last pixel: they hold every corner of the hull. */
  readonly outline: readonly Point[]
}

/** Groups of pixels over the threshold that touch by a side or a corner. */
function findComponents({ data, width, height }: ProbabilityMap): Component[] {
  const seen = new Uint8Array(width * height)
  const found: Component[] = []
  const stack: number[] = []
  for (let start = 0; start < seen.length; start++) {
    if (seen[start] === 1 || !isText(data, start)) continue
    seen[start] = 1
    stack.push(start)
    const rows = new Map<number, { from: number; to: number }>()
    let [pixels, sum] = [0, 0]
    for (let at = stack.pop(); at !== undefined; at = stack.pop()) {
      const [x, y] = [at % width, Math.floor(at / width)]
      pixels += 1
      sum += data[at] ?? 0
      const row = rows.get(y)
      if (row === undefined) rows.set(y, { from: x, to: x })
      else [row.from, row.to] = [Math.min(row.from, x), Math.max(row.to, x)]
      for (let ny = Math.max(0, y - 1); ny <= Math.min(height - 1, y + 1); ny++)
        for (let nx = Math.max(0, x - 1); nx <= Math.min(width - 1, x + 1); nx++) {
          const next = ny * width + nx
          if (seen[next] === 1 || !isText(data, next)) continue
          seen[next] = 1
          stack.push(next)
        }
    }
    const outline = [...rows].flatMap(([y, { from, to }]): Point[] => [
      [from, y],
      [to, y],
    ])
    found.push({ pixels, mean: sum / pixels, outline })
  }
  return found
}

function isText(data: Float32Array, at: number): boolean {
  return (data[at] ?? 0) > PIXEL_THRESHOLD
}

/** Finds the hull by Andrew's monotone chain; counter-clockwise where y goes up. */
function convexHull(points: readonly Point[]): Point[] {
  const sorted = points.toSorted((a, b) => a[0] - b[0] || a[1] - b[1])
  if (sorted.length < 3) return sorted
  const half = (ordered: readonly Point[]) => {
    const chain: Point[] = []
    for (const point of ordered) {
      while (chain.length > 1 && turn(chain.at(-2), chain.at(-1), point) <= 0) chain.pop()
      chain.push(point)
    }
    return chain.slice(0, -1)
  }
  return [...half(sorted), ...half(sorted.toReversed())]
}

function turn(a: Point = [0, 0], b: Point = [0, 0], c: Point): number {
  return (b[0] - a[0]) * (c[1] - a[1]) - (b[1] - a[1]) * (c[0] - a[0])
}

interface Rectangle {
  readonly centre: Point
  readonly width: number
  readonly height: number
  /** Angle of its width against the x axis, in radians. */
  readonly angle: number
}

/** One side of the smallest rectangle lies along a side of the hull, so each is tried. */
function smallestRectangle(hull: readonly Point[]): Rectangle | undefined {
  let best: Rectangle | undefined
  for (const [i, from] of hull.entries()) {
    const to = hull[(i + 1) % hull.length] ?? from
    const rectangle = rectangleAlong(hull, Math.atan2(to[1] - from[1], to[0] - from[0]))
    const area = rectangle.width * rectangle.height
    if (best === undefined || area < best.width * best.height) best = rectangle
  }
  return best
}

function rectangleAlong(hull: readonly Point[], angle: number): Rectangle {
  const [cos, sin] = [Math.cos(angle), Math.sin(angle)]
  const along = hull.map(([x, y]) => x * cos + y * sin)
  const across = hull.map(([x, y]) => y * cos - x * sin)
  const [left, right] = [Math.min(...along), Math.max(...along)]
  const [top, bottom] = [Math.min(...across), Math.max(...across)]
  const [u, v] = [(left + right) / 2, (top + bottom) / 2]
  return {
    centre: [u * cos - v * sin, u * sin + v * cos],
    width: right - left,
    height: bottom - top,
    angle,
  }
}

/** Lists the corners, beginning with the one nearest to the upper left. */
function toCorners({ centre: [x, y], width, height, angle }: Rectangle): Box {
  const [cos, sin] = [Math.cos(angle), Math.sin(angle)]
  const corner = (u: number, v: number): Point => [
    x + (u * width * cos - v * height * sin) / 2,
    y + (u * width * sin + v * height * cos) / 2,
  ]
  const corners = [corner(-1, -1), corner(1, -1), corner(1, 1), corner(-1, 1)] as const
  const order = ([a, b]: Point) => a + b
  let first = 0
  for (const [i, point] of corners.entries())
    if (order(point) < order(corners[first] ?? point)) first = i
  const at = (i: number) => corners[(first + i) % 4] ?? corners[0]
  return [at(0), at(1), at(2), at(3)]
}
