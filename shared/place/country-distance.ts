/**
 * A lower bound of a point's distance from each country.
 *
 * A country is a quadtree of cells over latitude and longitude that cover all of it (`country-cells.ts`). The bound is the
 * distance to the nearest cell's covering circle, less the slack of the shapes. `docs/design/place.md`: [PL1], [PL2].
 */
import { COUNTRY_CELLS } from './country-cells.ts'
import { memoize } from '#shared/base/memoize.ts'
import { COUNTRIES } from '#shared/law/region.ts'

/** Levels of the tree. A cell of the last level is 360° / 2^11 wide, 19.5 km at the equator. */
export const CELL_LEVELS = 11

/** Mean radius of the Earth, IUGG R1 (https://en.wikipedia.org/wiki/Earth_radius); the ellipsoid is within 0.56 % of it. */
const EARTH_RADIUS_KM = 6_371.009
/** Shortest arc on the ellipsoid by the same arc on the sphere: WGS 84 has a meridional radius of 6,335.4 km at the equator. */
const ELLIPSOID_FACTOR = 0.994
/** Error of shapes at 1:10,000,000: half a millimetre on the map. */
export const SHAPE_SLACK_KM = 5

export interface Point {
  /** Degrees north, -90 to 90. */
  readonly lat: number
  /** Degrees east, -180 to 180. */
  readonly lon: number
}

/**
 * Lower bound of the distance from a point to each country, in km, at the country's bit; 0 inside.
 * A new point takes about 50 ms, so ask only for the places of hubs, which stand still.
 */
export function countryDistances({ lat, lon }: Point): readonly number[] {
  return distances(`${lat},${lon}`)
}

const distances = memoize((key): readonly number[] => {
  const [lat = 0, lon = 0] = key.split(',').map(Number)
  return COUNTRIES.map((code) => lowerBoundKm(COUNTRY_CELLS[code] ?? '', { lat, lon }))
}, 64)

type Angles = ReturnType<typeof toAngles>

function toAngles({ lat, lon }: Point) {
  const radians = (lat * Math.PI) / 180
  return { sin: Math.sin(radians), cos: Math.cos(radians), lon: (lon * Math.PI) / 180 }
}

/** Distance over the sphere, never more than over the ellipsoid. */
function distanceKm(a: Angles, b: Angles): number {
  const cosine = a.sin * b.sin + a.cos * b.cos * Math.cos(a.lon - b.lon)
  return Math.acos(Math.max(-1, Math.min(1, cosine))) * EARTH_RADIUS_KM * ELLIPSOID_FACTOR
}

interface Square {
  readonly level: number
  readonly column: number
  readonly row: number
}

function lowerBoundKm(cells: string, from: Point): number {
  const bits = readBits(cells)
  const angles = toAngles(from)
  let nearestKm = Infinity
  const visit = (square: Square): void => {
    if (!bits()) return
    const { level, column, row } = square
    if (level < CELL_LEVELS && bits()) {
      for (const up of [0, 1])
        for (const right of [0, 1])
          visit({ level: level + 1, column: column * 2 + right, row: row * 2 + up })
      return
    }
    const middle = middleOf(square)
    // Border cells surround the inside of a country, so a point outside is never nearest to a larger square.
    if (level < CELL_LEVELS) {
      if (isWithin(from, middle)) nearestKm = 0
      return
    }
    nearestKm = Math.min(nearestKm, distanceKm(angles, toAngles(middle)) - radiusKm(middle))
  }
  visit({ level: 0, column: 0, row: 0 })
  return Math.max(0, nearestKm - SHAPE_SLACK_KM)
}

interface Cell extends Point {
  readonly halfDegrees: number
}

function middleOf({ level, column, row }: Square): Cell {
  const half = 180 / 2 ** level
  return { lat: (2 * row + 1) * half - 180, lon: (2 * column + 1) * half - 180, halfDegrees: half }
}

function isWithin(point: Point, { lat, lon, halfDegrees }: Cell): boolean {
  return Math.abs(point.lat - lat) <= halfDegrees && Math.abs(point.lon - lon) <= halfDegrees
}

/** Radius of a circle around the whole cell. No corner is further away than this diagonal. */
function radiusKm({ lat, halfDegrees }: Cell): number {
  const half = (halfDegrees * Math.PI) / 180
  const widest = Math.cos(Math.max(0, (Math.abs(lat) * Math.PI) / 180 - half))
  return Math.hypot(half, half * widest) * EARTH_RADIUS_KM * 1.01
}

/** Returns one bit at each call. */
function readBits(base64: string): () => boolean {
  const bytes = atob(base64)
  let at = 0
  return () => {
    const byte = bytes.charCodeAt(at >> 3)
    const bit = (byte >> (7 - (at & 7))) & 1
    at += 1
    return bit === 1
  }
}
