/** Processes items one by one with a queue and one loop, so that no chain of promises grows. */

export interface InTurn<T> {
  push(item: T): void
  /** Resolves when everything pushed so far has been processed. */
  idle(): Promise<void>
}

/** @param take must not reject. The pusher bounds the queue, by the credit of each item. */
export function createInTurn<T>(take: (item: T) => Promise<void>): InTurn<T> {
  let waiting: T[] = []
  let running: Promise<void> | undefined
  const run = async () => {
    while (waiting.length > 0) {
      const items = waiting
      waiting = []
      for (const item of items) await take(item)
    }
    running = undefined
  }
  return {
    push(item) {
      waiting.push(item)
      running ??= run()
    },
    idle: () => running ?? Promise.resolve(),
  }
}
