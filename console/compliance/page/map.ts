/** Draws the world as one SVG: shades allowed countries, and puts circles where nodes and jobs are. */
import { geoNaturalEarth1, geoPath } from 'd3-geo'
import { feature, mesh } from 'topojson-client'
import type { GeometryCollection, Topology } from 'topojson-specification'
import { choice } from './controls.ts'
import { alpha2, countryName } from './countries.ts'
import { COUNTRY_POINTS } from './country-points.ts'
import { h, replace, svg } from './dom.ts'

/** A number of things in one country. */
export interface Mark {
  readonly country: string
  /** Ends the class `mark-<kind>` of `map.css`. */
  readonly kind: string
  readonly count: number
  readonly title: string
}

export interface MapContent {
  /** Describes the whole picture to screen readers. */
  readonly label: string
  readonly shaded: ReadonlySet<string>
  readonly marks: readonly Mark[]
}

type World = Topology<{ countries: GeometryCollection<{ name: string }> }>
type Corner = readonly [number, number]
/** Longitude, latitude. */
type Position = number[]

const WIDTH = 960
const HEIGHT = 480
/** Larger circles would hide the countries of a narrow map. */
const MOST_ENLARGED = 1.8
const PROJECTION = geoNaturalEarth1()
  .rotate([-11, 0])
  .fitExtent(
    [
      [4, 4],
      [WIDTH - 4, HEIGHT + 60],
    ],
    { type: 'Sphere' },
  )

/** South-west and north-east corners of each frame. */
const FRAMES: Readonly<Record<string, readonly [Corner, Corner] | null>> = {
  World: null,
  Europe: [
    [-22, 34],
    [42, 70],
  ],
  'North America': [
    [-135, 8],
    [-55, 68],
  ],
  'South America': [
    [-90, -55],
    [-30, 14],
  ],
  Africa: [
    [-22, -36],
    [55, 38],
  ],
  'Asia and Oceania': [
    [52, -48],
    [168, 56],
  ],
}

export async function createWorldMap() {
  const { default: atlas } = await import('world-atlas/countries-110m.json')
  const world = atlas as unknown as World
  const path = geoPath(PROJECTION)
  const shapes = landShapes(world).map(({ code, name, polygon }) => ({
    code,
    name,
    outline: path(polygon) ?? '',
  }))
  const borders = path(mesh(world, world.objects.countries, (a, b) => a !== b)) ?? ''
  const sphere = path({ type: 'Sphere' }) ?? ''
  const picture = svg('svg', { class: 'map', role: 'img', preserveAspectRatio: 'xMidYMid meet' })
  let content: MapContent = { label: '', shaded: new Set(), marks: [] }
  let frame: string | undefined
  const draw = () => {
    const view = viewOf(FRAMES[frame ?? 'World'] ?? null)
    // Circles have the same size on phones and desktops.
    const pixel = WIDTH / (picture.clientWidth || WIDTH)
    picture.setAttribute('viewBox', view.box)
    picture.setAttribute('aria-label', content.label)
    replace(
      picture,
      svg('path', { class: 'sea', d: sphere }),
      shapes.map(({ code, name, outline }) =>
        svg(
          'path',
          {
            class: code !== undefined && content.shaded.has(code) ? 'land in' : 'land',
            d: outline,
          },
          svg('title', {}, landTitle(content, code, name)),
        ),
      ),
      svg('path', { class: 'borders', d: borders }),
      placeMarks(content.marks, view.scale * Math.min(MOST_ENLARGED, pixel)),
    )
  }
  new ResizeObserver(draw).observe(picture)
  const frameNames = Object.keys(FRAMES).map((name) => [name, name] as const)
  const frameChoice = choice('Region to show', frameNames, (next) => {
    frame = next
    draw()
  })
  return {
    element: h('figure', { class: 'map-box' }, picture, frameChoice.element),
    update(next: MapContent) {
      content = next
      if (frame === undefined) {
        frame = narrowestFrame(next)
        frameChoice.show(frame)
      }
      draw()
    },
  }
}

interface LandShape {
  readonly code: string | undefined
  readonly name: string
  readonly polygon: { readonly type: 'Polygon'; readonly coordinates: Position[][] }
}

/** Parts of a country's shape that have their own ISO 3166-1 code: allowing France does not allow French Guiana. */
const OWN_CODES = [
  { of: 'FR', code: 'GF', name: 'French Guiana', holds: ([x = 0]: Position) => x < -50 },
  { of: 'NO', code: 'SJ', name: 'Svalbard', holds: ([, y = 0]: Position) => y > 75 },
] as const

function landShapes(world: World): LandShape[] {
  return feature(world, world.objects.countries).features.flatMap(
    ({ id, properties, geometry }) => {
      const own = alpha2(id)
      const polygons =
        geometry.type === 'MultiPolygon'
          ? geometry.coordinates
          : geometry.type === 'Polygon'
            ? [geometry.coordinates]
            : []
      return polygons.map((coordinates): LandShape => {
        const start = coordinates[0]?.[0] ?? []
        const part = OWN_CODES.find(({ of, holds }) => of === own && holds(start))
        const { code, name } = part ?? { code: own, name: properties.name }
        return { code, name, polygon: { type: 'Polygon', coordinates } }
      })
    },
  )
}

/** Chooses the frame that contains everything, or the whole world. */
function narrowestFrame({ shaded, marks }: MapContent): string {
  const seen = [...shaded, ...marks.map(({ country }) => country)].flatMap((code) => {
    const point = COUNTRY_POINTS[code]
    return point === undefined ? [] : [point]
  })
  if (seen.length === 0) return 'World'
  const holding = Object.entries(FRAMES).find(([, corners]) => {
    if (corners === null) return false
    const [[west, south], [east, north]] = corners
    return seen.every(([x, y]) => x >= west && x <= east && y >= south && y <= north)
  })
  return holding?.[0] ?? 'World'
}

function landTitle({ shaded }: MapContent, code: string | undefined, name: string): string {
  if (code === undefined) return `${name}: no ISO 3166-1 code of its own`
  const where = countryName(code)
  return shaded.has(code) ? `${where}: allowed` : where
}

function viewOf(corners: readonly [Corner, Corner] | null): { box: string; scale: number } {
  if (corners === null) return { box: `0 0 ${WIDTH} ${HEIGHT}`, scale: 1 }
  const [[west, south], [east, north]] = corners
  const middle = (west + east) / 2
  const points = [
    [west, south],
    [west, north],
    [east, south],
    [east, north],
    [middle, south],
    [middle, north],
  ].map(([x = 0, y = 0]): [number, number] => PROJECTION([x, y]) ?? [0, 0])
  const xs = points.map(([x]) => x)
  const ys = points.map(([, y]) => y)
  const [left, top] = [Math.min(...xs), Math.min(...ys)]
  const [width, height] = [Math.max(...xs) - left, Math.max(...ys) - top]
  // The picture keeps its aspect ratio.
  const scale = Math.max(width / WIDTH, height / HEIGHT)
  const box = [
    left - (WIDTH * scale - width) / 2,
    top - (HEIGHT * scale - height) / 2,
    WIDTH * scale,
    HEIGHT * scale,
  ]
  return { box: box.map((value) => value.toFixed(1)).join(' '), scale }
}

/** Places the marks of one country side by side. */
function placeMarks(marks: readonly Mark[], scale: number): SVGElement[] {
  const byCountry = Map.groupBy(marks, ({ country }) => country)
  return [...byCountry].flatMap(([country, own]) => {
    const point = COUNTRY_POINTS[country]
    const at = point === undefined ? null : PROJECTION([...point])
    if (at === null) return []
    const sizes = own.map(({ count }) => radius(count) * scale)
    const total = sizes.reduce((sum, size) => sum + 2 * size, 0)
    let x = at[0] - total / 2
    return own.map((mark, i) => {
      const size = sizes[i] ?? 0
      x += 2 * size
      return drawMark(mark, { x: x - size, y: at[1], size, scale })
    })
  })
}

interface Spot {
  readonly x: number
  readonly y: number
  readonly size: number
  readonly scale: number
}

function drawMark({ kind, count, title }: Mark, { x, y, size, scale }: Spot): SVGElement {
  return svg(
    'g',
    { class: `mark mark-${kind}` },
    svg('title', {}, title),
    svg('circle', { cx: x, cy: y, r: size - scale }),
    svg(
      'text',
      { x, y: y + 4.2 * scale, 'font-size': 12 * scale, 'text-anchor': 'middle' },
      count > 999 ? '999+' : String(count),
    ),
  )
}

function radius(count: number): number {
  return Math.min(26, 9 + 2.5 * Math.log2(count))
}
