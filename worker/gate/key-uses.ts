/** Reports when each key was last used, once a minute instead of once a request. */

import { BoundedMap } from '#shared/base/bounded-map.ts'

interface KeyUsesOptions {
  /** Keys remembered; when full the oldest is evicted, and reported once more. */
  readonly size: number
  readonly everyMs: number
  readonly nowMs: () => number
}

export type KeyUses = ReturnType<typeof createKeyUses>

export function createKeyUses({ size, everyMs, nowMs }: KeyUsesOptions) {
  const toldMs = new BoundedMap<string, number>(size)
  return {
    /** @returns whether to report this use: the last report is old enough */
    note(keyId: string): boolean {
      const atMs = nowMs()
      if (atMs - (toldMs.get(keyId) ?? -Infinity) < everyMs) return false
      toldMs.set(keyId, atMs)
      return true
    },
  }
}
