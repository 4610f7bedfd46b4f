/** Time for the network code, passed in so that tests can control it. */

export interface Clock {
  /** Monotonic time in ms, from an arbitrary zero. */
  nowMs(): number
  /** Calls `fire` once after `delayMs`. @returns cancels it */
  after(delayMs: number, fire: () => void): () => void
}

export const systemClock: Clock = {
  nowMs: () => performance.now(),
  after(delayMs, fire) {
    const timer = setTimeout(fire, delayMs)
    return () => clearTimeout(timer)
  },
}
