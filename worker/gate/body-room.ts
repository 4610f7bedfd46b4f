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

interface BodySender {
  readonly keyId: string | undefined
  readonly address: string
}

export type BodyRoom = ReturnType<typeof createBodyRoom>
export type BodyHold = ReturnType<BodyRoom['open']>

export function createBodyRoom() {
  const held = new Map<string, number>()
  return {
    /** @throws {AppError} rate_limited when the sender has too much open */
    open({ keyId, address }: BodySender) {
      const isStranger = keyId === undefined
      const bounds: readonly (readonly [string, number])[] = [
        ['', BODY_ROOM.totalBytes],
        [`address ${address}`, BODY_ROOM.addressBytes],
        isStranger
          ? [`stranger ${address}`, BODY_ROOM.strangerBytes]
          : [`key ${keyId}`, BODY_ROOM.keyBytes],
      ]
      let takenBytes = 0
      /** Counts received bytes. @throws {AppError} rate_limited when the sender has too much open */
      const take = (sizeBytes: number): void => {
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
        release(): void {
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
