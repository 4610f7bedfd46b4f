/** Timers of some files in a time that the test lets pass, so that a busy machine fires no more of them. */
import { caller } from './spies.ts'

export interface HeldTimers {
  /** Lets this much of their time pass, and fires what is due. */
  pass(ms: number): void
}

interface Held {
  readonly atMs: number
  readonly fire: () => void
}

/** Longest delay of a timer: the real one that stands for a held one never fires. */
const NEVER_MS = 2 ** 31 - 1

/** Holds what these files set from now on. Load it before anything that keeps a reference to the timers. */
export function holdTimers(files: RegExp): HeldTimers {
  const timers = new Map<unknown, Held>()
  let nowMs = 0
  intercept('setTimeout', (set, args) => {
    if (!files.test(caller() ?? '')) return set(...args)
    const [fire, delayMs] = args as [() => void, number]
    const timer = set(() => {}, NEVER_MS) as NodeJS.Timeout
    timers.set(timer.unref(), { atMs: nowMs + delayMs, fire })
    return timer
  })
  intercept('clearTimeout', (clear, args) => {
    timers.delete(args[0])
    return clear(...args)
  })
  return {
    pass(ms) {
      nowMs += ms
      for (const [timer, { atMs, fire }] of timers) {
        if (atMs > nowMs) continue
        clearTimeout(timer as NodeJS.Timeout)
        fire()
      }
    },
  }
}

type Function = (...args: unknown[]) => unknown

function intercept(name: string, instead: (found: Function, args: unknown[]) => unknown): void {
  const found = Reflect.get(globalThis, name) as Function
  const value = new Proxy(found, { apply: (_, __, args: unknown[]) => instead(found, args) })
  Object.defineProperty(globalThis, name, { value, configurable: true, writable: true })
}
