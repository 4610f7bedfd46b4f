/** A timeout that is started again and again: one timer of the runtime serves many starts, most of which end early. */
import type { Clock } from './clock.ts'

export interface IdleTimer {
  /** Counts from now. */
  start(): void
  /** Counts no more until the next start. */
  pause(): void
  /** Ends it for good. */
  stop(): void
}

/** @param onIdle called when a start was not paused in time; after that it counts no more until the next start */
export function createIdleTimer(timeoutMs: number, onIdle: () => void, clock: Clock): IdleTimer {
  let sinceMs: number | undefined
  let disarm: (() => void) | undefined
  const look = () => {
    disarm = undefined
    if (sinceMs === undefined) return
    const leftMs = sinceMs + timeoutMs - clock.nowMs()
    if (leftMs > 0) {
      disarm = clock.after(Math.ceil(leftMs), look)
      return
    }
    sinceMs = undefined
    onIdle()
  }
  return {
    start() {
      sinceMs = clock.nowMs()
      disarm ??= clock.after(timeoutMs, look)
    },
    pause() {
      sinceMs = undefined
    },
    stop() {
      sinceMs = undefined
      disarm?.()
    },
  }
}
