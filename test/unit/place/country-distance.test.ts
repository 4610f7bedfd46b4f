import { geoArea, geoContains, geoDistance } from 'd3-geo'
import { describe, expect, it } from 'vitest'
import { readAtlas } from '#scripts/generate/atlas.ts'
import { countryDistances, type Point } from '#shared/place/country-distance.ts'
import { COUNTRIES, countryBit } from '#shared/law/region.ts'
import { createRandom } from '#test/support/random.ts'

const SEED = 20_261_122
const EARTH_KM = 6_371.009
/** Two covering circles of a cell at the equator, the slack of the shapes, and the ellipsoid's 0.6 % of ten thousand kilometres. */
const LOOSE_KM = 2 * 14 + 5
const FRANKFURT = { lat: 50.11, lon: 8.68 }

function seededPoints(count: number): Point[] {
  const random = createRandom(SEED)
  const uniform = () => random.below(1_000_000) / 1_000_000
  return Array.from({ length: count }, () => ({
    // Even over the sphere.
    lat: (Math.asin(2 * uniform() - 1) * 180) / Math.PI,
    lon: uniform() * 360 - 180,
  }))
}

/** Distance to the corners of the atlas' shapes, 0 inside; never less than the distance to the shape itself. */
function cornerDistanceKm(code: string, point: Point): number {
  const shapes = ATLAS.get(code) ?? []
  const at: [number, number] = [point.lon, point.lat]
  let least = Infinity
  for (const coordinates of shapes) {
    const polygon = { type: 'Polygon' as const, coordinates }
    // d3 takes an islet that the atlas rounded to a line for the rest of the world.
    if (geoArea(polygon) < 2 * Math.PI && geoContains(polygon, at)) return 0
    for (const corner of coordinates.flat()) {
      least = Math.min(least, geoDistance(at, corner as [number, number]))
    }
  }
  return least * EARTH_KM
}

const ATLAS = readAtlas()

describe('[PL1] the bound of the distance to a country', () => {
  it.each([
    ['EH', 'El Aaiún', 27.15, -13.2],
    ['EH', 'Dakhla', 23.7, -15.93],
    ['MA', 'Dakhla', 23.7, -15.93],
    ['GR', 'Kastellorizo', 36.15, 29.59],
    ['TW', 'Nangan in the Matsu Islands', 26.15, 119.94],
    ['TW', 'Pratas', 20.7, 116.72],
    ['TK', 'Fakaofo', -9.38, -171.22],
    ['ES', 'Las Palmas', 28.1, -15.43],
    ['PT', 'Flores in the Azores', 39.45, -31.2],
    ['US', 'Honolulu', 21.3, -157.86],
  ])('is zero in %s at %s', (code, _name, lat, lon) => {
    expect(countryDistances({ lat, lon })[countryBit(code)]).toBe(0)
  })

  it('is never more than the distance in the full atlas, and not much less, from seeded points', () => {
    for (const point of seededPoints(3)) {
      const bounds = countryDistances(point)
      for (const [bit, code] of COUNTRIES.entries()) {
        const corner = cornerDistanceKm(code, point)
        const bound = bounds[bit] ?? Number.NaN
        const where = `${code} from ${point.lat}, ${point.lon}, seed ${SEED}`
        expect(bound, where).toBeLessThanOrEqual(corner)
        // Corners of a straight border may be far apart; the smallest countries have none.
        if (code !== 'AQ') expect(bound, where).toBeGreaterThan(corner * 0.993 - LOOSE_KM - 40)
      }
    }
  })

  it('is zero on the border, in every twelfth country of the table', () => {
    for (const [bit, code] of COUNTRIES.entries()) {
      if (bit % 12 !== 0) continue
      for (const [ring] of ATLAS.get(code) ?? []) {
        const [lon = 0, lat = 0] = ring?.[0] ?? []
        expect(countryDistances({ lat, lon })[bit], code).toBe(0)
        break
      }
    }
  })

  it('is right for the neighbours of Frankfurt to some kilometres', () => {
    const of = (code: string) => countryDistances(FRANKFURT)[countryBit(code)] ?? Number.NaN
    expect(of('DE')).toBe(0)
    // Bargen in Schaffhausen, the northernmost place of Switzerland, is 256 km away.
    expect(of('CH')).toBeGreaterThan(225)
    expect(of('CH')).toBeLessThan(256)
    expect(of('US')).toBeGreaterThan(5_000)
  })
})
