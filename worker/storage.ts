/** The part of a Durable Object's `ctx.storage` that our cores use, so that plain Node tests can drive them. */

export type Row = Record<string, unknown>
export type Binding = string | number | null

export interface SqlStorage {
  readonly sql: { exec(query: string, ...bindings: Binding[]): { toArray(): Row[] } }
}

export interface DurableStorage extends SqlStorage {
  transactionSync<T>(closure: () => T): T
}
