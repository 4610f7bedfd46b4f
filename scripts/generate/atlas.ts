/** Shapes of all countries of `shared/law/region.ts`, from world-atlas; territories follow ISO 3166-1 where the atlas differs. */
import { createRequire } from 'node:module'
import countries from 'i18n-iso-countries'
import { feature } from 'topojson-client'
import type { GeometryCollection, Topology } from 'topojson-specification'

export type Ring = readonly (readonly [number, number])[]
export type Polygon = Ring[] & number[][][]

interface Box {
  readonly west: number
  readonly south: number
  readonly east: number
  readonly north: number
}

/** Parts of one shape that also belong to another code: overseas parts with codes of their own, and disputed territory. */
const PARTS: readonly { readonly of: string; readonly code: string; readonly box: Box }[] = [
  part('FR', 'GF', [-55, 2, -51, 6]),
  part('FR', 'GP', [-62, 15.8, -60.9, 16.6]),
  part('FR', 'MQ', [-61.4, 14.3, -60.7, 15]),
  part('FR', 'RE', [55, -21.5, 56, -20.7]),
  part('FR', 'YT', [44.9, -13.1, 45.4, -12.5]),
  part('NL', 'BQ', [-68.6, 11.9, -62.8, 17.8]),
  part('NO', 'SJ', [-10, 70.5, -7, 71.5]),
  part('NO', 'SJ', [9, 74, 36, 81.5]),
  part('NO', 'BV', [3, -55, 4, -54]),
  part('RU', 'UA', [32.3, 44.2, 36.8, 46.3]),
]

/** Owners of shapes without a code, by the atlas' name; disputed ones count for each claimant. */
const UNCODED: Readonly<Record<string, readonly string[]>> = {
  Dhekelia: ['CY', 'GB'],
  Akrotiri: ['CY', 'GB'],
  'N. Cyprus': ['CY'],
  'Cyprus U.N. Buffer Zone': ['CY'],
  Somaliland: ['SO'],
  Kosovo: ['RS'],
  'USNB Guantanamo Bay': ['CU', 'US'],
  'Siachen Glacier': ['IN', 'PK', 'CN'],
  Baikonur: ['KZ', 'RU'],
  'Coral Sea Is.': ['AU'],
  'Spratly Is.': ['CN', 'TW', 'VN', 'PH', 'MY', 'BN'],
  'Scarborough Reef': ['CN', 'TW', 'PH'],
  'Clipperton I.': ['FR'],
  'Bajo Nuevo Bank': ['CO', 'JM', 'US'],
  'Serranilla Bank': ['CO', 'HN', 'US'],
}

/** Codes whose whole shape also counts for another code. */
const SHARED: Readonly<Record<string, readonly string[]>> = { EH: ['MA'], PS: ['IL'] }

/**
 * Boxes around territory that the atlas lacks, or draws without its code of ISO 3166-1. Tokelau:
 * https://www.cia.gov/the-world-factbook/countries/tokelau/. Western Sahara west of the berm is drawn as Morocco's; the borders
 * are those of https://www.cia.gov/the-world-factbook/countries/western-sahara/. Kastellorizo, the Matsu and the Pratas Islands are
 * too small for the atlas.
 */
const BOXES: readonly { readonly code: string; readonly box: Box }[] = [
  boxed('TK', [-172.6, -9.5, -171.1, -8.4]),
  boxed('EH', [-17.2, 20.7, -16.9, 21.4]),
  boxed('EH', [-17.2, 21.3, -12.9, 23.1]),
  boxed('EH', [-16.4, 22.9, -11.9, 26.1]),
  boxed('EH', [-15.1, 25.9, -8.6, 27.7]),
  boxed('GR', [29.5, 36.1, 29.7, 36.2]),
  boxed('TW', [119.85, 25.9, 120.55, 26.45]),
  boxed('TW', [116.6, 20.6, 116.95, 20.8]),
]

/** By alpha-2 code; a polygon may belong to several codes. */
export function readAtlas(): Map<string, Polygon[]> {
  const atlas = createRequire(import.meta.url)('world-atlas/countries-10m.json') as Topology<{
    countries: GeometryCollection<{ name: string }>
  }>
  const shapes = new Map<string, Polygon[]>()
  const add = (code: string, polygon: Polygon) =>
    shapes.set(code, [...(shapes.get(code) ?? []), polygon])
  for (const { id, properties, geometry } of feature(atlas, atlas.objects.countries).features) {
    const polygons = (
      geometry.type === 'Polygon'
        ? [geometry.coordinates]
        : geometry.type === 'MultiPolygon'
          ? geometry.coordinates
          : []
    ) as Polygon[]
    const code = id === undefined ? undefined : countries.numericToAlpha2(id)
    for (const polygon of polygons) {
      for (const owner of ownersOf(code, properties.name, polygon)) add(owner, polygon)
    }
  }
  for (const { code, box } of BOXES) add(code, boxPolygon(box))
  return shapes
}

function ownersOf(code: string | undefined, name: string, polygon: Polygon): readonly string[] {
  if (name === 'Indian Ocean Ter.') return [westOf(polygon) < 100 ? 'CC' : 'CX']
  const owners = code === undefined ? UNCODED[name] : [code, ...(SHARED[code] ?? [])]
  if (owners === undefined) throw new Error(`no owner is known for ${name}`)
  const parts = PARTS.filter((each) => each.of === code && isWithin(polygon, each.box))
  return [...owners, ...parts.map((each) => each.code)]
}

function isWithin(polygon: Polygon, { west, south, east, north }: Box): boolean {
  return polygon
    .flat()
    .every(([x = 0, y = 0]) => x >= west && x <= east && y >= south && y <= north)
}

function westOf(polygon: Polygon): number {
  return Math.min(...polygon.flat().map(([x = 0]) => x))
}

/** Degrees between two corners: a long side would become a great circle instead of a parallel. */
const SIDE_STEP = 0.5

/** Clockwise, as d3-geo expects outer rings. */
function boxPolygon({ west, south, east, north }: Box): Polygon {
  const corners: Ring = [
    [west, south],
    [west, north],
    [east, north],
    [east, south],
    [west, south],
  ]
  const ring = corners.flatMap((corner, i) => [corner, ...between(corner, corners[i + 1])])
  return [ring] as unknown as Polygon
}

function between(
  [x, y]: readonly [number, number],
  [toX, toY]: readonly [number, number] = [x, y],
): [number, number][] {
  const steps = Math.ceil(Math.max(Math.abs(toX - x), Math.abs(toY - y)) / SIDE_STEP)
  return Array.from({ length: Math.max(0, steps - 1) }, (_, i) => {
    const part = (i + 1) / steps
    return [x + (toX - x) * part, y + (toY - y) * part]
  })
}

function boxed(code: string, [west, south, east, north]: readonly number[]) {
  return { code, box: { west, south, east, north } as Box }
}

function part(of: string, code: string, [west, south, east, north]: readonly number[]) {
  return { of, code, box: { west, south, east, north } as Box }
}
