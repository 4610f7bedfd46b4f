/** The part of a Durable Object's `ctx.storage` that our cores use, so that plain Node tests can drive them. */

export type Row = Record<string, unknown>
/** Blobs go in as bytes; a Durable Object gives them back as an `ArrayBuffer`, Node's SQLite as a `Uint8Array`. */
export type Binding = string | number | null | Uint8Array<ArrayBuffer> | Uint8Array

export interface SqlStorage {
  readonly sql: { exec(query: string, ...bindings: Binding[]): { toArray(): Row[] } }
}

export interface DurableStorage extends SqlStorage {
  transactionSync<T>(closure: () => T): T
}
