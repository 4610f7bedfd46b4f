/** Counts what a job costs by kind and by the place in the source that caused it. */

export const KINDS = [
  'messages to nodes',
  'messages from nodes',
  'bytes to nodes',
  'bytes from nodes',
  'timers',
  'abort objects',
  'asymmetric operations',
  'key objects',
  'cipher objects',
  'database writes',
  'database commits',
  'alarms',
  'object calls',
  'log lines',
  'durable writes',
] as const
export type Kind = (typeof KINDS)[number]

/** Kind → cause → count. */
export type Counts = Readonly<Partial<Record<Kind, Readonly<Record<string, number>>>>>

export interface Tally {
  add(kind: Kind, cause: string, count?: number): void
  read(): Counts
  reset(): void
}

export function createTally(): Tally {
  const counts: Partial<Record<Kind, Record<string, number>>> = {}
  return {
    add(kind, cause, count = 1) {
      const causes = (counts[kind] ??= {})
      causes[cause] = (causes[cause] ?? 0) + count
    },
    read: () => structuredClone(counts),
    reset() {
      for (const kind of KINDS) delete counts[kind]
    },
  }
}

export function total(counts: Counts, kind: Kind): number {
  return Object.values(counts[kind] ?? {}).reduce((sum, count) => sum + count, 0)
}

/** The causes of one kind, the most frequent first. */
export function causes(counts: Counts, kind: Kind): [cause: string, count: number][] {
  return Object.entries(counts[kind] ?? {}).toSorted(([, a], [, b]) => b - a)
}
