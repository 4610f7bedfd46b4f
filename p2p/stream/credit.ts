/** Credit windows: a sender spends what the receiver has granted, so a slow reader stops only its own job. */
import { AppError, invariant } from '#shared/base/errors.ts'
import { LIMITS, MIB } from '#shared/base/limits.ts'
import { untilCancelled, type Cancellation } from './cancellation.ts'
import { FRAME_BYTES } from './frames.ts'

/** Bytes of one job that may be sent before the reader grants more. */
export const JOB_WINDOW_BYTES = MIB
invariant(FRAME_BYTES <= JOB_WINDOW_BYTES, 'A frame fits the window.')
invariant(JOB_WINDOW_BYTES <= LIMITS.jobOutputBytes, 'The window fits the output.')

/** Largest data frame we send, so that a ping or another job's frame fits between two of them. */
export const DATA_CHUNK_BYTES = 64 * 1024

/** Least cost of a frame, even an empty one: each causes work whatever its length. */
const FRAME_COST_BYTES = 1024
/** Smallest grant. A receiver saves grants up, so that they cost almost nothing. */
export const GRANT_BYTES: number = JOB_WINDOW_BYTES / 4

export function frameCost(bodyBytes: number): number {
  return Math.max(bodyBytes, FRAME_COST_BYTES)
}

export type SendWindow = ReturnType<typeof createSendWindow>

export function createSendWindow() {
  let creditBytes: number = JOB_WINDOW_BYTES
  let granted = Promise.withResolvers<void>()
  const hasCredit = async (costBytes: number, cancellation: Cancellation) => {
    while (creditBytes < costBytes) await untilCancelled(granted.promise, cancellation)
    if (cancellation.isCancelled) throw cancellation.reason as Error
  }
  return {
    /** Adds granted bytes. @throws {AppError} invalid_request when the grant is too small or overfills the window */
    grant(sizeBytes: number) {
      if (sizeBytes < GRANT_BYTES)
        throw new AppError(
          'invalid_request',
          `Credit of ${sizeBytes} bytes is below the smallest grant of ${GRANT_BYTES}.`,
        )
      creditBytes += sizeBytes
      if (creditBytes > JOB_WINDOW_BYTES)
        throw new AppError(
          'invalid_request',
          `Credit of ${creditBytes} bytes is over the window of ${JOB_WINDOW_BYTES}.`,
        )
      granted.resolve()
      granted = Promise.withResolvers()
    },
    /** Waits for credit and takes up to `wantedBytes` for one frame; rejects with the cancellation's reason. */
    async take(wantedBytes: number, cancellation: Cancellation): Promise<number> {
      await hasCredit(FRAME_COST_BYTES, cancellation)
      const taken = Math.min(wantedBytes, creditBytes)
      creditBytes -= frameCost(taken)
      return taken
    },
    /** The same for a frame that cannot be cut. */
    async takeAll(bodyBytes: number, cancellation: Cancellation) {
      await hasCredit(frameCost(bodyBytes), cancellation)
      creditBytes -= frameCost(bodyBytes)
    },
  }
}

export function createReceiveWindow() {
  let creditBytes: number = JOB_WINDOW_BYTES
  let savedBytes = 0
  return {
    /** Notes a received frame. @throws {AppError} invalid_request when the sender had no credit for it */
    receive(bodyBytes: number) {
      creditBytes -= frameCost(bodyBytes)
      if (creditBytes < 0)
        throw new AppError('invalid_request', `${-creditBytes} bytes came without credit.`)
    },
    /** Notes a used frame. @returns bytes to grant now; often 0, since small grants are saved up */
    consume(bodyBytes: number): number {
      savedBytes += frameCost(bodyBytes)
      if (savedBytes < GRANT_BYTES) return 0
      const grantBytes = savedBytes
      savedBytes = 0
      creditBytes += grantBytes
      return grantBytes
    },
  }
}
