/**
 * Replaces `main-event` in bundles for workerd: typed events as plain objects. The original extends the runtime's
 * EventTarget, which libp2p calls several times for each message, mostly without a listener.
 */

type Listener = ((event: Event) => void) | { handleEvent(event: Event): void }

interface ListenOptions {
  readonly once?: boolean
  readonly signal?: AbortSignal
}

type Options = boolean | ListenOptions

interface Entry {
  readonly listener: Listener
  readonly isOnce: boolean
  /** Forgets the signal that would remove the listener. */
  readonly forget: () => void
}

export class TypedEventEmitter {
  /** The lists are replaced, never changed, so that a dispatch calls those that listened when it began. */
  readonly #entries = new Map<string, readonly Entry[]>()

  listenerCount(type: string): number {
    return this.#entries.get(type)?.length ?? 0
  }

  /** Listening again is without effect. Whether a listener captures means nothing here: no target has a parent. */
  addEventListener(type: string, listener: Listener | null, options?: Options): void {
    const { once = false, signal } = typeof options === 'object' ? options : {}
    const entries = this.#entries.get(type) ?? []
    if (listener === null || signal?.aborted === true) return
    if (entries.some((entry) => entry.listener === listener)) return
    const remove = () => this.removeEventListener(type, listener)
    signal?.addEventListener('abort', remove)
    const forget = () => signal?.removeEventListener('abort', remove)
    this.#entries.set(type, [...entries, { listener, isOnce: once, forget }])
  }

  removeEventListener(type: string, listener: Listener | null, _options?: Options): void {
    const entries = this.#entries.get(type) ?? []
    const removed = entries.find((entry) => entry.listener === listener)
    if (removed === undefined) return
    removed.forget()
    this.#entries.set(
      type,
      entries.filter((entry) => entry !== removed),
    )
  }

  /** Calls all listeners. @throws what the first failing one threw */
  dispatchEvent(event: Event): boolean {
    const failures: unknown[] = []
    for (const entry of this.#entries.get(event.type) ?? []) {
      // One that an earlier listener has removed is not called any more.
      if (this.#entries.get(event.type)?.includes(entry) !== true) continue
      if (entry.isOnce) this.removeEventListener(event.type, entry.listener)
      try {
        if (typeof entry.listener === 'function') entry.listener(event)
        else entry.listener.handleEvent(event)
      } catch (error) {
        failures.push(error)
      }
    }
    if (failures.length > 0) throw failures[0] as Error
    return true
  }

  safeDispatchEvent(type: string, detail: { readonly detail?: unknown } = {}): boolean {
    return this.listenerCount(type) === 0 || this.dispatchEvent(new CustomEvent(type, detail))
  }
}

/** Node warns of many listeners; plain lists do not. */
export function setMaxListeners(): void {}
