/** Reads the plan of rooms and their allowed imports from the tables of ARCHITECTURE.md. */
import { AppError } from '#shared/base/errors.ts'

/** A top-level folder. */
export interface Layer {
  readonly name: string
  /** Other layers that it may import. */
  readonly layers: readonly string[] | 'all'
  /** Packages that it may import; `@libp2p/*` is every package of that scope, `node:*` Node's own modules. */
  readonly packages: readonly string[] | 'all'
}

/** A folder with source files. */
export interface Room {
  readonly path: string
  /** Rooms of the same layer that it may import, by path. */
  readonly rooms: readonly string[]
}

export interface Plan {
  readonly layers: readonly Layer[]
  /** From the lowest to the highest: a room may only import earlier ones. */
  readonly rooms: readonly Room[]
}

/**
 * Reads the tables with the heads `Folder | Is | May import | Packages` and `Room | What happens there | May import`.
 * @throws {AppError} internal when a table is missing
 */
export function readPlan(document: string): Plan {
  const rows = tablesOf(document)
  const layers = rows
    .filter(({ head }) => head === 'Folder | Is | May import | Packages')
    .flatMap(({ cells: [names = '', , imports = '', packages = ''] }) =>
      codes(names).map((name) => ({
        name: name.replace(/\/$/, ''),
        layers: imports === 'all' ? ('all' as const) : listed(imports),
        packages: packages === 'all' ? ('all' as const) : listed(packages),
      })),
    )
  const given = rows
    .filter(({ head }) => head === 'Room | What happens there | May import')
    .flatMap(({ cells: [name = '', , imports = ''] }) =>
      codes(name).map((path) => ({
        path,
        rooms: listed(imports).map((room) => pathOf(room, path)),
      })),
    )
  const paths = given.map(({ path }) => path)
  const rooms = given.map(({ path, rooms: names }) => ({
    path,
    rooms: names.flatMap((name) => expand(name, paths)),
  }))
  if (layers.length === 0 || rooms.length === 0)
    throw new AppError('internal', 'ARCHITECTURE.md lacks the table of layers or of rooms.')
  return { layers, rooms }
}

/** `hub/*` is every room below `hub`. */
function expand(name: string, paths: readonly string[]): string[] {
  if (!name.endsWith('/*')) return [name]
  return paths.filter((path) => path.startsWith(name.slice(0, -1)))
}

/** `./` is the layer's own folder; any other name is a path below it. */
function pathOf(name: string, room: string): string {
  const [layer = ''] = room.split('/')
  return name === './' ? layer : `${layer}/${name}`
}

function tablesOf(document: string) {
  let head = ''
  let before = ''
  return document.split('\n').flatMap((line) => {
    const cells = line.startsWith('|') ? cellsOf(line) : []
    if (/^\|[-| :]+\|$/.test(line)) head = before
    before = cells.join(' | ')
    return cells.length > 0 && head !== '' ? [{ head, cells }] : []
  })
}

function cellsOf(line: string): string[] {
  return line
    .slice(1, line.lastIndexOf('|'))
    .split('|')
    .map((cell) => cell.trim())
}

const codes = (cell: string): string[] =>
  [...cell.matchAll(/`([^`]+)`/g)].map((match) => match[1] ?? '')
const listed = (cell: string): string[] =>
  cell
    .split(',')
    .map((name) => name.replaceAll('`', '').trim())
    .filter(Boolean)
