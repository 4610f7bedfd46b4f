/** A log's hashes in tiles of 256, as C2SP tlog-tiles (https://c2sp.org/tlog-tiles) cuts them: few rows to keep and read. */
import { invariant } from '#shared/base/errors.ts'
import { nodeHash, type HashReader } from '#shared/proof/tree.ts'

/** Tile `position` of `level`: up to 256 hashes, each the root over 256^level leaves. */
export interface TileStore {
  /** At least the hashes written there; undefined when there are none. */
  read(level: number, position: number): Uint8Array | undefined
  write(level: number, position: number, hashes: Uint8Array): void
}

const HASH_BYTES = 32
const TILE_HEIGHT = 8
const TILE_WIDTH = 2 ** TILE_HEIGHT

/** Adds leaves to a log of `size`. The caller puts all writes into one transaction. */
export function appendToTiles(store: TileStore, size: number, leaves: readonly Uint8Array[]): void {
  let hashes = leaves
  for (let level = 0; hashes.length > 0; level += 1) {
    const first = Math.floor(size / TILE_WIDTH ** level)
    const full: Uint8Array[] = []
    for (let added = 0; added < hashes.length;) {
      const position = Math.floor((first + added) / TILE_WIDTH)
      const used = (first + added) % TILE_WIDTH
      const fresh = hashes.slice(added, added + TILE_WIDTH - used)
      const tile = extendTile(used === 0 ? undefined : store.read(level, position), used, fresh)
      store.write(level, position, tile)
      if (used + fresh.length === TILE_WIDTH) full.push(tileHash(tile, 0, TILE_HEIGHT))
      added += fresh.length
    }
    hashes = full
  }
}

/** Reads any subtree and remembers what it computed, so use one reader per request. */
export function createTileReader(store: Pick<TileStore, 'read'>): HashReader {
  const tiles = new Map<string, Uint8Array>()
  const inner = new Map<string, Uint8Array>()
  const tileAt = (level: number, position: number): Uint8Array => {
    const name = `${level}/${position}`
    const tile = tiles.get(name) ?? store.read(level, position)
    invariant(tile, `tile ${name} of the log is kept`)
    tiles.set(name, tile)
    return tile
  }
  const read: HashReader = (level, index) => {
    const height = level % TILE_HEIGHT
    const name = `${level}/${index}`
    const known = inner.get(name)
    if (known !== undefined) return known
    if (height > 0) {
      const hash = nodeHash(read(level - 1, 2 * index), read(level - 1, 2 * index + 1))
      inner.set(name, hash)
      return hash
    }
    const at = (index % TILE_WIDTH) * HASH_BYTES
    const tile = tileAt(level / TILE_HEIGHT, Math.floor(index / TILE_WIDTH))
    invariant(at + HASH_BYTES <= tile.length, `hash ${name} is in the log`)
    return tile.subarray(at, at + HASH_BYTES)
  }
  return read
}

function extendTile(
  tile: Uint8Array | undefined,
  used: number,
  fresh: readonly Uint8Array[],
): Uint8Array {
  const usedBytes = used * HASH_BYTES
  invariant((tile?.length ?? 0) >= usedBytes, 'the right edge of the log is kept')
  const extended = new Uint8Array(usedBytes + fresh.length * HASH_BYTES)
  if (tile !== undefined) extended.set(tile.subarray(0, usedBytes))
  fresh.forEach((hash, i) => extended.set(hash, usedBytes + i * HASH_BYTES))
  return extended
}

function tileHash(tile: Uint8Array, first: number, height: number): Uint8Array {
  if (height === 0) return tile.subarray(first * HASH_BYTES, (first + 1) * HASH_BYTES)
  const half = 2 ** (height - 1)
  return nodeHash(tileHash(tile, first, height - 1), tileHash(tile, first + half, height - 1))
}
