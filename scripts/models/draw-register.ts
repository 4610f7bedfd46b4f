/** Draws the register of a digit meter as a camera would see it: drums, slant, uneven light, sensor noise; always the same. */

export interface Picture {
  readonly width: number
  readonly height: number
  /** RGB, row by row. */
  readonly rgb: Uint8Array
}

export interface RegisterOptions {
  readonly digits: string
  readonly width: number
  readonly height: number
  readonly seed: number
  /** Standard deviation of the noise, in grey levels. */
  readonly noise: number
}

type Point = readonly [x: number, y: number]
type Stroke = readonly Point[]

/** Height of a digit and its pitch, as parts of the picture's height. */
const DIGIT_HEIGHT = 0.62
const PITCH = 0.6
const HALF_STROKE = 0.058

export function drawRegister(options: RegisterOptions): Picture {
  const { digits, width, height } = options
  const random = createGaussian(options.seed)
  const rgb = new Uint8Array(width * height * 3)
  const left = (width / height - digits.length * PITCH) / 2
  for (let y = 0; y < height; y++) {
    for (let x = 0; x < width; x++) {
      const [u, v] = unproject(x / height, y / height, width / height)
      const light = 0.78 + 0.3 * (x / width) - 0.18 * Math.abs(y / height - 0.4)
      const grain = random() * options.noise
      const colour = surface(digits, (u - left) / PITCH, v)
      colour.forEach((level, channel) => {
        const value = level * light + grain + random() * options.noise * 0.25
        rgb[(y * width + x) * 3 + channel] = Math.min(255, Math.max(0, Math.round(value)))
      })
    }
  }
  return { width, height, rgb }
}

/** Where on the meter's face a point of the picture lies: a slight turn and a camera that stands to the left. */
function unproject(x: number, y: number, aspect: number): Point {
  const depth = 1 + 0.03 * (x / aspect - 0.5)
  const u = (x - aspect / 2) / depth + aspect / 2
  const v = (y - 0.5 + 0.012 * (x - aspect / 2)) / depth + 0.5
  return [u, v]
}

/** Colour of the face at drum position `u` (drum n spans n to n + 1) and height `v` (0 to 1). */
function surface(digits: string, u: number, v: number): readonly [number, number, number] {
  const drum = Math.floor(u)
  const digit = digits[drum]
  if (digit === undefined || v < 0.1 || v > 0.9) return [176, 178, 172]
  const across = u - drum
  const seam = Math.min(across, 1 - across)
  const round = 1 - 0.45 * ((v - 0.5) / 0.4) ** 2
  const edge = 0.8 + 0.2 * Math.min(1, seam / 0.08)
  const x = ((across - 0.5) * PITCH) / DIGIT_HEIGHT + 0.3
  const y = (v - 0.5) / DIGIT_HEIGHT + 0.5
  const ink = Math.min(1, Math.max(0, (HALF_STROKE - distance(digit, [x, y])) / 0.025 + 0.5))
  return [34, 35, 38].map(
    (dark, channel) => (dark + ((channel === 2 ? 222 : 234) - dark) * ink) * round * edge,
  ) as [number, number, number]
}

function distance(digit: string, point: Point): number {
  let least = Infinity
  for (const stroke of STROKES[Number(digit)] ?? [])
    for (let i = 1; i < stroke.length; i++)
      least = Math.min(least, toSegment(point, stroke[i - 1] ?? point, stroke[i] ?? point))
  return least
}

function toSegment([x, y]: Point, [ax, ay]: Point, [bx, by]: Point): number {
  const [dx, dy] = [bx - ax, by - ay]
  const along = ((x - ax) * dx + (y - ay) * dy) / (dx * dx + dy * dy)
  const t = Math.min(1, Math.max(0, along))
  return Math.hypot(x - ax - t * dx, y - ay - t * dy)
}

/** Part of an ellipse, in degrees clockwise from the right. */
function arc(centre: Point, radius: Point, from: number, to: number): Stroke {
  return Array.from({ length: 25 }, (_, i) => {
    const angle = ((from + ((to - from) * i) / 24) * Math.PI) / 180
    return [centre[0] + radius[0] * Math.cos(angle), centre[1] + radius[1] * Math.sin(angle)]
  })
}

/** Digits as pen strokes in a box 0.6 wide and 1 high. */
const STROKES: readonly (readonly Stroke[])[] = [
  [arc([0.3, 0.5], [0.23, 0.45], 0, 360)],
  [
    [
      [0.16, 0.24],
      [0.34, 0.06],
      [0.34, 0.95],
    ],
  ],
  [[...arc([0.3, 0.29], [0.22, 0.24], 190, 395), [0.07, 0.94], [0.54, 0.94]]],
  [arc([0.27, 0.28], [0.22, 0.23], 200, 450), arc([0.27, 0.72], [0.25, 0.23], 270, 520)],
  [
    [
      [0.56, 0.68],
      [0.05, 0.68],
      [0.4, 0.06],
      [0.4, 0.95],
    ],
  ],
  [
    [
      [0.5, 0.06],
      [0.14, 0.06],
      [0.1, 0.46],
    ],
    arc([0.28, 0.66], [0.24, 0.29], 225, 505),
  ],
  [
    arc([0.3, 0.67], [0.23, 0.28], 0, 360),
    [
      [0.44, 0.06],
      [0.24, 0.3],
      [0.07, 0.64],
    ],
  ],
  [
    [
      [0.06, 0.06],
      [0.54, 0.06],
      [0.22, 0.95],
    ],
  ],
  [arc([0.3, 0.28], [0.2, 0.22], 0, 360), arc([0.3, 0.72], [0.24, 0.23], 0, 360)],
  [
    arc([0.3, 0.33], [0.23, 0.28], 0, 360),
    [
      [0.53, 0.36],
      [0.36, 0.7],
      [0.16, 0.94],
    ],
  ],
]

/** Normally distributed numbers from a seed: mulberry32 through Box and Muller. */
function createGaussian(seed: number): () => number {
  let state = seed >>> 0
  const uniform = () => {
    state = (state + 0x6d2b79f5) >>> 0
    let mixed = Math.imul(state ^ (state >>> 15), state | 1)
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61)
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32
  }
  return () => Math.sqrt(-2 * Math.log(1 - uniform())) * Math.cos(2 * Math.PI * uniform())
}
