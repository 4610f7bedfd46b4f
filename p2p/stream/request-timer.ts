/** Deadlines of one request, which follow one another, over one timer of the runtime. */
export interface RequestTimer {
  /** Calls `onDue` once after `delayMs`, unless stopped before. It replaces the deadline before it. @returns stops it */
  start(delayMs: number, onDue: () => void): () => void
  /** Forgets the timer of the runtime: the request is over. */
  end(): void
}

export function createRequestTimer(): RequestTimer {
  let timer: ReturnType<typeof setTimeout> | undefined
  /** When the timer fires. It may be earlier than what is due: it is then set again. */
  let armedMs = Infinity
  let due: { readonly atMs: number; readonly call: () => void } | undefined

  const arm = (atMs: number) => {
    if (timer !== undefined) clearTimeout(timer)
    armedMs = atMs
    timer = setTimeout(look, Math.max(0, Math.ceil(atMs - performance.now())))
  }
  const look = () => {
    armedMs = Infinity
    const next = due
    if (next === undefined) return
    if (next.atMs > performance.now()) {
      arm(next.atMs)
      return
    }
    due = undefined
    next.call()
  }
  return {
    start(delayMs, call) {
      const own = { atMs: performance.now() + delayMs, call }
      due = own
      if (own.atMs < armedMs) arm(own.atMs)
      return () => {
        if (due === own) due = undefined
      }
    },
    end() {
      due = undefined
      if (timer !== undefined) clearTimeout(timer)
      timer = undefined
      armedMs = Infinity
    },
  }
}
