/** Time as the network code sees it, passed in so that tests can own it. */

export interface Clock {
  /** Milliseconds that only rise; their zero means nothing. */
  nowMs(): number
  /** Calls `fire` once after `delayMs`; the returned function cancels it. */
  after(delayMs: number, fire: () => void): () => void
}

export const systemClock: Clock = {
  nowMs: () => performance.now(),
  after(delayMs, fire) {
    const timer = setTimeout(fire, delayMs)
    return () => clearTimeout(timer)
  },
}
