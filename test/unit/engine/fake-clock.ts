/** A clock that stands still until it is moved. */
export function createFakeClock() {
  let nowMs = 0
  return {
    now: () => nowMs,
    add: (ms: number) => void (nowMs += ms),
  }
}
