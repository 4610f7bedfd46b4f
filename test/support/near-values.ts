/** Values that differ from right ones in one place, as they would come in JSON. */
import * as fc from 'fast-check'

const hash = `0x${'ab'.repeat(32)}`

/** Values that may stand where another belongs. */
const strange = fc.oneof(
  fc.constantFrom<unknown>(null, '', -1, 0, 1.5, 2 ** 60, 256, true, [], {}, '0x', 'AAA', 'AA=='),
  fc.constantFrom<unknown>(hash, `${hash}0`, `${hash}\n`, hash.toUpperCase(), [1, 1, 1], [hash]),
  fc.constantFrom('webgpu', 'edge', 'cpu', 'FP32', 'main', 'model', 'kernel', 'step', 'uniform'),
  fc.jsonValue(),
)

type Parts = Record<string, unknown>

/** One member of one of these values is set, added or removed, however deep it is. */
export function nearValues(values: readonly object[]): fc.Arbitrary<unknown> {
  return fc
    .tuple(fc.constantFrom(...values), fc.nat(), fc.constantFrom('set', 'add', 'remove'), strange)
    .map(([value, at, change, other]) => {
      const changed = structuredClone(value) as Parts
      const paths = pathsOf(changed).filter((path) => path.length > 0)
      const path = paths[at % paths.length] ?? []
      const last = path.at(-1) ?? ''
      const parent = path.slice(0, -1).reduce<Parts>((part, name) => part[name] as Parts, changed)
      if (change === 'set') parent[last] = other
      else if (change === 'add') parent[`${last}2`] = other
      else delete parent[last]
      return JSON.parse(JSON.stringify(changed)) as unknown
    })
}

/** Every path to a member, of objects and arrays alike. */
function pathsOf(value: unknown, path: readonly string[] = []): (readonly string[])[] {
  if (typeof value !== 'object' || value === null) return [path]
  return [path, ...Object.entries(value).flatMap(([name, part]) => pathsOf(part, [...path, name]))]
}
