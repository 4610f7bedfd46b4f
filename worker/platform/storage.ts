/** The used part of a Durable Object's `ctx.storage`, so that plain Node tests can drive the cores. */

export type Row = Record<string, unknown>
/** A Durable Object returns blobs as `ArrayBuffer`, Node's SQLite as `Uint8Array`. */
export type Binding = string | number | null | Uint8Array<ArrayBuffer> | Uint8Array

export interface SqlStorage {
  readonly sql: { exec(query: string, ...bindings: Binding[]): { toArray(): Row[] } }
}

export interface DurableStorage extends SqlStorage {
  transactionSync<T>(closure: () => T): T
}

/** Reads the first column of the first row as a number; undefined when it is null or there is no row. */
export function numberIn([row]: readonly Row[]): number | undefined {
  const [value] = Object.values(row ?? {})
  return value === null || value === undefined ? undefined : Number(value)
}
