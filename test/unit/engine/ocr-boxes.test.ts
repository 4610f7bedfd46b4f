/** Text boxes from maps with known text. */
import { describe, expect, test } from 'vitest'
import { findTextBoxes, inReadingOrder, type Box } from '#engine/models/ocr-boxes.ts'

const WIDTH = 200
const HEIGHT = 100

interface Bar {
  readonly x: number
  readonly y: number
  readonly length: number
  readonly thickness: number
  /** In degrees, clockwise as a picture is seen. */
  readonly angle: number
  readonly probability?: number
}

function mapOf(...bars: readonly Bar[]) {
  const data = new Float32Array(WIDTH * HEIGHT)
  for (let y = 0; y < HEIGHT; y++)
    for (let x = 0; x < WIDTH; x++)
      for (const bar of bars) {
        const radians = (bar.angle * Math.PI) / 180
        const u = (x - bar.x) * Math.cos(radians) + (y - bar.y) * Math.sin(radians)
        const v = (y - bar.y) * Math.cos(radians) - (x - bar.x) * Math.sin(radians)
        if (Math.abs(u) <= bar.length / 2 && Math.abs(v) <= bar.thickness / 2)
          data[y * WIDTH + x] = bar.probability ?? 0.9
      }
  return { data, width: WIDTH, height: HEIGHT }
}

const sides = ([a, b, , d]: Box) => ({
  width: Math.hypot(b[0] - a[0], b[1] - a[1]),
  height: Math.hypot(d[0] - a[0], d[1] - a[1]),
  angle: (Math.atan2(b[1] - a[1], b[0] - a[0]) * 180) / Math.PI,
})

describe('a box of text', () => {
  test.each([-30, -5, 0, 7, 25])('lies at the angle of its text: %i degrees', (angle) => {
    const [box, ...others] = findTextBoxes(
      mapOf({ x: 100, y: 50, length: 80, thickness: 10, angle }),
      10,
    )
    expect(others).toEqual([])
    const found = box === undefined ? undefined : sides(box)
    // Grown on each side by area × 1.5 / perimeter, as in DB.
    const grown = (2 * 80 * 10 * 1.5) / (2 * 90)
    expect(Math.abs((found?.angle ?? NaN) - angle)).toBeLessThan(2.5)
    expect(Math.abs((found?.width ?? NaN) - 80 - grown)).toBeLessThan(4)
    expect(Math.abs((found?.height ?? NaN) - 10 - grown)).toBeLessThan(4)
  })

  test('is not made from faint text or a speck', () => {
    const faint = { x: 60, y: 30, length: 60, thickness: 10, angle: 0, probability: 0.5 }
    const speck = { x: 150, y: 80, length: 2, thickness: 2, angle: 0 }
    expect(findTextBoxes(mapOf(faint, speck), 10)).toEqual([])
  })

  test('is dropped when there are too many larger ones', () => {
    const bars = [20, 50, 80].map((y, i) => ({
      x: 100,
      y,
      length: 40 + i * 40,
      thickness: 8,
      angle: 0,
    }))
    const found = findTextBoxes(mapOf(...bars), 2)
    expect(found.map((box) => sides(box).width > 75)).toEqual([true, true])
  })

  test('a map full of text is processed in bounded time', () => {
    const data = new Float32Array(960 * 960).fill(1)
    expect(findTextBoxes({ data, width: 960, height: 960 }, 10)).toHaveLength(1)
  })
})

test('lines are read from top to bottom, and from left to right within a row', () => {
  const box = (x: number, y: number): Box => [
    [x, y],
    [x + 50, y],
    [x + 50, y + 20],
    [x, y + 20],
  ]
  const [right, left, below] = [box(100, 12), box(10, 16), box(10, 40)]
  expect(inReadingOrder([below, right, left])).toEqual([left, right, below])
})
