/** Simulated time: events in their order, and work of an event that ends after it. */
import { Events } from '../tail/events.ts'

export class Timeline {
  nowMs = 0
  readonly #events = new Events()
  readonly #pending: Promise<void>[] = []

  after(delayMs: number, happen: () => void): void {
    this.#events.add(this.nowMs + delayMs, happen)
  }

  /** No event happens before this work has ended. */
  wait(work: Promise<void>): void {
    this.#pending.push(work)
  }

  async runFor(seconds: number): Promise<void> {
    let isOver = false
    this.after(seconds * 1_000, () => {
      isOver = true
    })
    while (!isOver) {
      const event = this.#events.next()
      if (event === undefined) return
      this.nowMs = event.atMs
      event.happen()
      while (this.#pending.length > 0) await Promise.all(this.#pending.splice(0))
    }
  }
}
