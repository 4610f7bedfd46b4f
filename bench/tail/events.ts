/** Events of a simulation, by time: a binary heap. */

interface Event {
  readonly atMs: number
  readonly happen: () => void
}

export class Events {
  readonly #heap: Event[] = []

  add(atMs: number, happen: () => void): void {
    const heap = this.#heap
    const event = { atMs, happen }
    let at = heap.push(event) - 1
    while (at > 0) {
      const above = (at - 1) >> 1
      const parent = heap[above]
      if (parent === undefined || parent.atMs <= atMs) break
      heap[at] = parent
      at = above
    }
    heap[at] = event
  }

  /** Removes the earliest event; undefined when there is none. */
  next(): Event | undefined {
    const heap = this.#heap
    const [first] = heap
    const last = heap.pop()
    if (first === undefined || last === undefined || heap.length === 0) return first
    let at = 0
    for (;;) {
      const [left, right] = [heap[2 * at + 1], heap[2 * at + 2]]
      if (left === undefined) break
      const below = right !== undefined && right.atMs < left.atMs ? 2 * at + 2 : 2 * at + 1
      const child = heap[below]
      if (child === undefined || last.atMs <= child.atMs) break
      heap[at] = child
      at = below
    }
    heap[at] = last
    return first
  }
}
