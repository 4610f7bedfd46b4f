/** Credit windows: a sender spends what the receiver has granted, so that a slow reader stops one job and no other. */
import { AppError } from '#shared/errors.ts'
import { LIMITS } from '#shared/limits.ts'

/** Cut size of data frames: small enough that a ping or another job's frame slips between two of them. */
export const DATA_CHUNK_BYTES = 64 * 1024

export interface SendWindow {
  /** Adds granted bytes. @throws {AppError} invalid_request when the sum passes any window that was agreed */
  grant(sizeBytes: number): void
  /** Waits for credit and takes up to `wantedBytes` of it; rejects when `signal` aborts. */
  take(wantedBytes: number, signal: AbortSignal): Promise<number>
}

export function createSendWindow(): SendWindow {
  let creditBytes: number = LIMITS.jobWindowBytes
  let granted = Promise.withResolvers<void>()
  return {
    grant(sizeBytes) {
      creditBytes += sizeBytes
      if (creditBytes > LIMITS.jobWindowBytes)
        throw new AppError(
          'invalid_request',
          `Credit of ${creditBytes} bytes is over the window of ${LIMITS.jobWindowBytes}.`,
        )
      granted.resolve()
      granted = Promise.withResolvers()
    },
    async take(wantedBytes, signal) {
      while (creditBytes === 0) await untilAborted(granted.promise, signal)
      signal.throwIfAborted()
      const taken = Math.min(wantedBytes, creditBytes)
      creditBytes -= taken
      return taken
    },
  }
}

export interface ReceiveWindow {
  /** Notes arrived bytes. @throws {AppError} invalid_request when the sender had no credit for them */
  receive(sizeBytes: number): void
  /** Notes used bytes; returns how many to grant now, often 0: small grants are saved up. */
  consume(sizeBytes: number): number
}

export function createReceiveWindow(): ReceiveWindow {
  let creditBytes: number = LIMITS.jobWindowBytes
  let savedBytes = 0
  return {
    receive(sizeBytes) {
      creditBytes -= sizeBytes
      if (creditBytes < 0)
        throw new AppError('invalid_request', `${-creditBytes} bytes came without credit.`)
    },
    consume(sizeBytes) {
      savedBytes += sizeBytes
      if (savedBytes < LIMITS.jobWindowBytes / 4) return 0
      const grantBytes = savedBytes
      savedBytes = 0
      creditBytes += grantBytes
      return grantBytes
    },
  }
}

/** The promise, or a rejection with the signal's reason, whichever is first; leaves no listener behind. */
export async function untilAborted<T>(promise: Promise<T>, signal: AbortSignal): Promise<T> {
  signal.throwIfAborted()
  const { promise: aborted, reject } = Promise.withResolvers<never>()
  const onAbort = () => reject(signal.reason as Error)
  signal.addEventListener('abort', onAbort)
  try {
    return await Promise.race([promise, aborted])
  } finally {
    signal.removeEventListener('abort', onAbort)
  }
}
