/** Checks the source against the plan: walls, arrows, circles, and files in a room. Pure. */
import { posix } from 'node:path'
import type { Import, SourceFile } from './imports.ts'
import type { Plan } from './plan.ts'

/** Most files of a room; one with more has two nouns. */
const FILES_IN_A_ROOM = 16
/** Layers without planned rooms: each test, benchmark and example is read on its own. */
const WITHOUT_ROOMS = new Set(['test', 'bench', 'examples'])

export interface Verdict {
  readonly figures: Figures
  /** Each fault names the file or room, and the rule that it breaks. */
  readonly faults: readonly string[]
}

export interface Figures {
  readonly rooms: number
  /** Pairs of rooms of which one imports the other. */
  readonly arrows: number
  readonly mostFiles: { readonly room: string; readonly files: number }
  readonly circles: number
  readonly up: number
}

export function judgeHouse(plan: Plan, files: readonly SourceFile[]): Verdict {
  const filesIn = countFiles(files)
  const arrows = arrowsOf(files)
  const circles = circlesOf(arrows)
  const up = arrowsUp(plan)
  const [room, most] = [...filesIn].reduce((a, b) => (b[1] > a[1] ? b : a), ['', 0])
  return {
    figures: {
      rooms: filesIn.size,
      arrows: [...arrows.values()].reduce((sum, targets) => sum + targets.size, 0),
      mostFiles: { room, files: most },
      circles: circles.length,
      up: up.length,
    },
    faults: [
      ...files.flatMap((file) => breaches(plan, file)),
      ...up,
      ...unplanned(plan, filesIn),
      ...circles.map((rooms) => `a circle of rooms: ${rooms.join(' → ')}`),
      ...[...filesIn]
        .filter(([, count]) => count > FILES_IN_A_ROOM)
        .map(
          ([path, count]) => `${path}/ has ${count} files; a room has at most ${FILES_IN_A_ROOM}`,
        ),
    ],
  }
}

const roomOf = (path: string): string => posix.dirname(path)
const layerOf = (path: string): string => path.split('/')[0] ?? ''

function breaches(plan: Plan, { path, imports }: SourceFile): string[] {
  const layer = plan.layers.find(({ name }) => name === layerOf(path))
  // Configuration files at the root belong to no layer.
  if (layer === undefined) return path.includes('/') ? [`${path} is in no layer of the plan`] : []
  return imports.flatMap((one) => {
    const { specifier, file } = one
    const told = `${path} imports ${specifier}`
    if (file === undefined)
      return isAllowed(specifier, layer.packages)
        ? []
        : [`${told}: ${layer.name}/ may not use that package`]
    if (layerOf(file) !== layer.name) {
      const isOpen = layer.layers === 'all' || layer.layers.includes(layerOf(file))
      return isOpen || isData(one)
        ? []
        : [`${told}: ${layer.name}/ may not import ${layerOf(file)}/`]
    }
    if (WITHOUT_ROOMS.has(layer.name) || roomOf(file) === roomOf(path)) return []
    const room = plan.rooms.find((candidate) => candidate.path === roomOf(path))
    // A room without a line in the plan is one fault, not one for each import.
    if (room === undefined || room.rooms.includes(roomOf(file))) return []
    return [`${told}: ${roomOf(path)}/ may not import ${roomOf(file)}/`]
  })
}

/** JSON is data, such as a model's manifest, and has no layer. */
const isData = ({ specifier }: Import): boolean => specifier.endsWith('.json')

function isAllowed(specifier: string, packages: readonly string[] | 'all'): boolean {
  if (packages === 'all') return true
  return packages.some((name) =>
    name.endsWith('*')
      ? specifier.startsWith(name.slice(0, -1))
      : specifier === name || specifier.startsWith(`${name}/`),
  )
}

/** A room may only import rooms above it in the table, which lists the lowest room first. */
function arrowsUp({ rooms }: Plan): string[] {
  const place = new Map(rooms.map(({ path }, index) => [path, index]))
  return rooms.flatMap(({ path, rooms: given }, index) =>
    given
      .filter((other) => (place.get(other) ?? Infinity) >= index)
      .map(
        (other) =>
          `an arrow up: the plan lets ${path}/ import ${other}/, which is not above it in the table`,
      ),
  )
}

function unplanned(plan: Plan, filesIn: ReadonlyMap<string, number>): string[] {
  const planned = new Set(plan.rooms.map(({ path }) => path))
  const missing = [...filesIn.keys()].filter(
    (path) => path !== '.' && !WITHOUT_ROOMS.has(layerOf(path)) && !planned.has(path),
  )
  const empty = [...planned].filter((path) => !filesIn.has(path))
  return [
    ...missing.map((path) => `${path}/ has no line in ARCHITECTURE.md's tables of rooms`),
    ...empty.map((path) => `ARCHITECTURE.md has a line for ${path}/, which has no file`),
  ]
}

function countFiles(files: readonly SourceFile[]): Map<string, number> {
  const counts = new Map<string, number>()
  for (const { path } of files) counts.set(roomOf(path), (counts.get(roomOf(path)) ?? 0) + 1)
  return counts
}

function arrowsOf(files: readonly SourceFile[]): Map<string, Set<string>> {
  const known = new Set(files.map(({ path }) => path))
  const arrows = new Map<string, Set<string>>()
  for (const { path, imports } of files)
    for (const { file } of imports) {
      if (file === undefined || !known.has(file) || roomOf(file) === roomOf(path)) continue
      const targets = arrows.get(roomOf(path)) ?? new Set()
      arrows.set(roomOf(path), targets.add(roomOf(file)))
    }
  return arrows
}

/** Groups of rooms that reach each other (Tarjan, SIAM Journal on Computing 1, 1972). */
function circlesOf(arrows: ReadonlyMap<string, ReadonlySet<string>>): string[][] {
  const order = new Map<string, number>()
  const lowest = new Map<string, number>()
  const stack: string[] = []
  const circles: string[][] = []
  const visit = (room: string): number => {
    const own = order.size
    order.set(room, own)
    stack.push(room)
    let low = own
    for (const next of arrows.get(room) ?? []) {
      if (!order.has(next)) low = Math.min(low, visit(next))
      else if (stack.includes(next)) low = Math.min(low, order.get(next) ?? own)
    }
    lowest.set(room, low)
    if (low === own) {
      const group = stack.splice(stack.indexOf(room))
      if (group.length > 1) circles.push(group)
    }
    return low
  }
  for (const room of arrows.keys()) if (!order.has(room)) visit(room)
  return circles
}
