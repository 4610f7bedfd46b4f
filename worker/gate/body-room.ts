/** Bytes of request bodies that have come and are not yet read to their end, counted by who sends them, in one isolate. */
import { AppError } from '#shared/base/errors.ts'

const KIB = 1024
const MIB = 1024 * KIB

/** What one sender may have open: with a key, from one address, and from one address without a key; and everybody. */
export const BODY_ROOM = {
  /** Each open body counts for this much, however little of it has come. */
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
  /** Counts bytes that have come. @throws {AppError} rate_limited when they are more than the sender may have open */
  take(sizeBytes: number): void
  /** The body was read, or given up. */
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
