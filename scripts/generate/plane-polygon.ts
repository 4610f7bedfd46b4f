/** Polygons on the plane of longitude and latitude, where edges are straight, as Natural Earth draws them. */
import type { Polygon } from './atlas.ts'

export interface PlaneRing {
  /** Longitudes without jumps: a ring over the antimeridian continues beyond 180. */
  readonly x: Float64Array
  readonly y: Float64Array
}

export interface PlanePolygon {
  readonly rings: readonly PlaneRing[]
  /** Says if a point, in degrees, is inside. */
  holds(longitude: number, latitude: number): boolean
}

export function toPlane(polygon: Polygon): PlanePolygon {
  const rings = polygon.map(unwrap)
  const [outer] = rings
  if (outer === undefined) throw new Error('a polygon has no ring')
  const box = { west: outer.x.reduce(least), east: outer.x.reduce(most) }
  const height = { south: outer.y.reduce(least), north: outer.y.reduce(most) }
  return {
    rings,
    holds(longitude, latitude) {
      if (latitude < height.south || latitude > height.north) return false
      return [longitude - 360, longitude, longitude + 360].some(
        (x) => x >= box.west && x <= box.east && isOdd(rings, x, latitude),
      )
    },
  }
}

function unwrap(ring: readonly (readonly number[])[]): PlaneRing {
  const x: number[] = []
  const y: number[] = []
  for (const [longitude = 0, latitude = 0] of ring) {
    const before = x.at(-1)
    x.push(
      before === undefined
        ? longitude
        : before + ((((longitude - before + 180) % 360) + 360) % 360) - 180,
    )
    y.push(latitude)
  }
  // A ring that ends a whole turn away goes round a pole; it is closed there.
  const turn = (x.at(-1) ?? 0) - (x[0] ?? 0)
  if (Math.abs(turn) > 180) {
    const pole = (y[0] ?? 0) < 0 ? -90 : 90
    x.push(x.at(-1) ?? 0, x[0] ?? 0, x[0] ?? 0)
    y.push(pole, pole, y[0] ?? 0)
  }
  return { x: Float64Array.from(x), y: Float64Array.from(y) }
}

/** Even-odd rule: counts how often a ray to the east crosses the rings. */
function isOdd(rings: readonly PlaneRing[], px: number, py: number): boolean {
  let inside = false
  for (const { x, y } of rings) {
    for (let i = 0, j = x.length - 1; i < x.length; j = i, i += 1) {
      const [xi = 0, yi = 0, xj = 0, yj = 0] = [x[i], y[i], x[j], y[j]]
      if (yi > py !== yj > py && px < ((xj - xi) * (py - yi)) / (yj - yi) + xi) inside = !inside
    }
  }
  return inside
}

function least(a: number, b: number): number {
  return Math.min(a, b)
}

function most(a: number, b: number): number {
  return Math.max(a, b)
}
