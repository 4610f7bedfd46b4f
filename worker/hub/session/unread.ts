/** What a client was sent and has not said to have received. A WebSocket tells nobody how much it holds unsent, so the client must. */
import { AppError } from '#shared/base/errors.ts'
import { LIMITS } from '#shared/base/limits.ts'

export interface Unread {
  /** @returns false when the client owes more than anything that keeps to {@link Unread.room} can make it owe */
  sent(sizeBytes: number): boolean
  /** @param count of all messages so far. @throws {AppError} invalid_request for more than were sent */
  received(count: number): void
  /** Resolves once so little is unread that another step may be answered; false when the client lets it wait too long. */
  room(signal: AbortSignal): Promise<boolean>
}

/** @param stepBytes that the messages of one step may have */
export function createUnread(stepBytes: number): Unread {
  /** Of each message that was not acknowledged, the oldest first. */
  const sizes: number[] = []
  let unreadBytes = 0
  let acknowledged = 0
  let onRoom = () => {}
  const hasRoom = () => unreadBytes <= LIMITS.sessionUnreadBytes
  return {
    sent(sizeBytes) {
      sizes.push(sizeBytes)
      unreadBytes += sizeBytes
      return unreadBytes <= LIMITS.sessionUnreadBytes + stepBytes
    },
    received(count) {
      if (count > acknowledged + sizes.length)
        throw new AppError(
          'invalid_request',
          `${count} messages are acknowledged; ${acknowledged + sizes.length} were sent.`,
        )
      // An older acknowledgement may come after a newer one: it says nothing new.
      for (const size of sizes.splice(0, Math.max(0, count - acknowledged))) unreadBytes -= size
      acknowledged = Math.max(acknowledged, count)
      if (hasRoom()) onRoom()
    },
    async room(signal) {
      if (hasRoom()) return true
      const { promise, resolve } = Promise.withResolvers<void>()
      const stop = () => resolve()
      const timer = setTimeout(stop, LIMITS.sessionUnreadMs)
      signal.addEventListener('abort', stop)
      onRoom = stop
      await promise
      clearTimeout(timer)
      signal.removeEventListener('abort', stop)
      return hasRoom()
    },
  }
}
