/** Edits one value of a JSON document, as a forger would. */

export type Json = { [key: string]: Json } | Json[] | string | number | boolean | null

/** The path of every value in a document. */
export function leafPaths(value: Json, path: string[] = []): string[][] {
  if (value === null || typeof value !== 'object') return [path]
  return Object.entries(value).flatMap(([key, inner]) => leafPaths(inner, [...path, key]))
}

/** The same document with one byte of one value changed. @param at picks the byte of a text */
export function editValue(document: unknown, path: readonly string[], at: number): unknown {
  const copy = structuredClone(document) as { [key: string]: Json }
  const last = path.at(-1) ?? ''
  const parent = path
    .slice(0, -1)
    .reduce<Json>((value, key) => (value as typeof copy)[key] ?? null, copy) as typeof copy
  const value = parent[last]
  if (typeof value === 'string') {
    const index = at % value.length
    const byte = value[index] === '1' ? '2' : '1'
    parent[last] = value.slice(0, index) + byte + value.slice(index + 1)
  } else if (typeof value === 'number') parent[last] = value + 1
  else if (typeof value === 'boolean') parent[last] = !value
  else parent[last] = 'x'
  return copy
}
