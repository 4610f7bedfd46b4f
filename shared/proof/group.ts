/**
 * Gathers items that are ready at nearly the same time, so that one signature and one write serve all of them. An item
 * that nobody else can join goes at once; the others wait at most a few milliseconds.
 */
import { TREE_LEAVES } from './tree-signature.ts'

/** Longest wait of an item for others, in ms. */
export const GROUP_WAIT_MS = 5

export interface GroupDeps<T, R> {
  /** Signs and keeps one group. @returns one result for each item, in order */
  readonly take: (items: readonly T[]) => Promise<readonly R[]>
  /** Number of jobs that run now, those of the waiting items included: nobody else can join a group of as many. */
  readonly running: () => number
  /** Calls back once, after `ms`. @returns how to cancel it */
  readonly after: (ms: number, call: () => void) => () => void
}

export interface Group<T, R> {
  /** Resolves with the item's result once its group was taken. @throws what `take` throws */
  add(item: T): Promise<R>
  /** Called when a job has ended without an item, which may leave nobody to wait for. */
  left(): void
}

export function createGroup<T, R>({ take, running, after }: GroupDeps<T, R>): Group<T, R> {
  let items: T[] = []
  let outcome = Promise.withResolvers<readonly R[]>()
  let cancel: (() => void) | undefined
  /** Items of closed groups: their jobs still run, and join no other group. */
  let closed = 0

  const close = () => {
    cancel?.()
    cancel = undefined
    const count = items.length
    closed += count
    const [taken, { resolve, reject }] = [items, outcome]
    items = []
    outcome = Promise.withResolvers<readonly R[]>()
    take(taken)
      .finally(() => {
        closed -= count
      })
      .then(resolve, reject)
  }
  const isComplete = () =>
    items.length > 0 && (items.length >= TREE_LEAVES || items.length >= running() - closed)

  return {
    async add(item) {
      const index = items.push(item) - 1
      const { promise } = outcome
      if (isComplete()) close()
      else cancel ??= after(GROUP_WAIT_MS, close)
      return (await promise)[index] as R
    },
    left() {
      if (isComplete()) close()
    },
  }
}
