/** Counts bytes of unfinished request bodies in one isolate, by sender. */
import { AppError } from '#shared/base/errors.ts'
import { KIB, MIB } from '#shared/base/limits.ts'

/** Bytes that may be open for a key, an address, an address without a key, and in total. */
export const BODY_ROOM = {
  /** Each open body counts at least this much. */
  leastBytes: 16 * KIB,
  keyBytes: 48 * MIB,
  addressBytes: 64 * MIB,
  strangerBytes: MIB,
  totalBytes: 96 * MIB,
} as const

export interface BodySender {
  readonly keyId: string | undefined
  readonly address: string
}

export interface BodyHold {
  /** Counts received bytes. @throws {AppError} rate_limited when the sender has too much open */
  take(sizeBytes: number): void
  release(): void
}

export interface BodyRoom {
  /** @throws {AppError} rate_limited when the sender has too much open */
  open(sender: BodySender): BodyHold
}

export function createBodyRoom(): BodyRoom {
  const held = new Map<string, number>()
  return {
    open({ keyId, address }) {
      const isStranger = keyId === undefined
      const bounds: readonly (readonly [string, number])[] = [
        ['', BODY_ROOM.totalBytes],
        [`address ${address}`, BODY_ROOM.addressBytes],
        isStranger
          ? [`stranger ${address}`, BODY_ROOM.strangerBytes]
          : [`key ${keyId}`, BODY_ROOM.keyBytes],
      ]
      let takenBytes = 0
      const take = (sizeBytes: number) => {
        const isOver = bounds.some(([name, most]) => (held.get(name) ?? 0) + sizeBytes > most)
        if (isOver)
          throw new AppError(
            'rate_limited',
            'Too many bytes of unfinished request bodies are open.',
          )
        for (const [name] of bounds) held.set(name, (held.get(name) ?? 0) + sizeBytes)
        takenBytes += sizeBytes
      }
      take(BODY_ROOM.leastBytes)
      return {
        take,
        release() {
          for (const [name] of bounds) {
            const left = (held.get(name) ?? 0) - takenBytes
            if (left > 0) held.set(name, left)
            else held.delete(name)
          }
          takenBytes = 0
        },
      }
    },
  }
}
