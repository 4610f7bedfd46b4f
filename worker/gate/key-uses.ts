/** When each key was last used, told to its tenant once a minute and not once a request. */

import { BoundedMap } from '#shared/base/bounded-map.ts'

export interface KeyUses {
  /** @returns whether this use is to be told: the last one that was is old enough */
  note(keyId: string): boolean
}

export interface KeyUsesOptions {
  /** Keys that are remembered; when full the oldest is forgotten, and told once more. */
  readonly size: number
  readonly everyMs: number
  readonly nowMs: () => number
}

export function createKeyUses({ size, everyMs, nowMs }: KeyUsesOptions): KeyUses {
  const toldMs = new BoundedMap<string, number>(size)
  return {
    note(keyId) {
      const atMs = nowMs()
      if (atMs - (toldMs.get(keyId) ?? -Infinity) < everyMs) return false
      toldMs.set(keyId, atMs)
      return true
    },
  }
}
