/** Counts bytes sent and not acknowledged, since a WebSocket does not tell how much it buffers. */
import { AppError } from '#shared/base/errors.ts'
import { KIB } from '#shared/base/limits.ts'

/** Bytes sent and not acknowledged, above which no new step starts. */
export const SESSION_UNREAD_BYTES = 64 * KIB
/** Time for which a client may leave that many bytes unread. */
export const SESSION_UNREAD_MS = 30_000

export type Unread = ReturnType<typeof createUnread>

/** @param stepBytes most bytes that the messages of one step may have */
export function createUnread(stepBytes: number) {
  const sizes: number[] = []
  let unreadBytes = 0
  let acknowledged = 0
  let onRoom = () => {}
  const hasRoom = () => unreadBytes <= SESSION_UNREAD_BYTES
  return {
    /** @returns false when more is unread than a sender that waits for `room` can cause */
    sent(sizeBytes: number): boolean {
      sizes.push(sizeBytes)
      unreadBytes += sizeBytes
      return unreadBytes <= SESSION_UNREAD_BYTES + stepBytes
    },
    /** @param count of all messages so far @throws {AppError} invalid_request for more than were sent */
    received(count: number): void {
      if (count > acknowledged + sizes.length)
        throw new AppError(
          'invalid_request',
          `${count} messages are acknowledged; ${acknowledged + sizes.length} were sent.`,
        )
      // An older acknowledgement may arrive after a newer one. It says nothing new.
      for (const size of sizes.splice(0, Math.max(0, count - acknowledged))) unreadBytes -= size
      acknowledged = Math.max(acknowledged, count)
      if (hasRoom()) onRoom()
    },
    /** Resolves when another step may be answered; false if the client does not acknowledge in time. */
    async room(signal: AbortSignal): Promise<boolean> {
      if (hasRoom()) return true
      const { promise, resolve } = Promise.withResolvers<void>()
      const stop = () => resolve()
      const timer = setTimeout(stop, SESSION_UNREAD_MS)
      signal.addEventListener('abort', stop)
      onRoom = stop
      await promise
      clearTimeout(timer)
      signal.removeEventListener('abort', stop)
      return hasRoom()
    },
  }
}
