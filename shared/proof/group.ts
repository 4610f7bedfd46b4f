/**
 * Gathers items that are ready at nearly the same time, so that one signature and one write serve all of them. An item
 * that nobody else can join goes at once; the others wait at most a few milliseconds.
 */
import { TREE_LEAVES } from './tree-signature.ts'

/** Longest wait of an item for others, in ms. */
export const GROUP_WAIT_MS = 5

export interface GroupDeps<T> {
  /** Signs and keeps one group. Every item of the group ends with its outcome. */
  readonly take: (items: readonly T[]) => Promise<void>
  /** Number of jobs that run now, those of the waiting items included: nobody else can join a group of as many. */
  readonly running: () => number
  /** Calls back once, after `ms`. @returns how to cancel it */
  readonly after: (ms: number, call: () => void) => () => void
}

export interface Group<T> {
  /** Resolves once the item's group was taken. @throws what `take` throws */
  add(item: T): Promise<void>
  /** Called when a job has ended without an item, which may leave nobody to wait for. */
  left(): void
}

export function createGroup<T>({ take, running, after }: GroupDeps<T>): Group<T> {
  let items: T[] = []
  let outcome = Promise.withResolvers<void>()
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
    outcome = Promise.withResolvers<void>()
    take(taken)
      .finally(() => {
        closed -= count
      })
      .then(resolve, reject)
  }
  const isComplete = () =>
    items.length > 0 && (items.length >= TREE_LEAVES || items.length >= running() - closed)

  return {
    add(item) {
      items.push(item)
      const { promise } = outcome
      if (isComplete()) close()
      else cancel ??= after(GROUP_WAIT_MS, close)
      return promise
    },
    left() {
      if (isComplete()) close()
    },
  }
}
