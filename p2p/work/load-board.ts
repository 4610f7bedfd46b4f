/** Loads that a hub asks of a node: a few at once, each answered with the node's new presence. */
import { AppError, toAppError } from '#shared/base/errors.ts'
import type { FrameStream } from '#p2p/stream/frame-stream.ts'
import { jsonFrame, readJson, type Frame } from '#p2p/stream/frames.ts'
import { LoadRequest, type LoadReply } from '#p2p/stream/messages.ts'
import { errorBody } from '#p2p/stream/wire-error.ts'
import type { WorkHandler } from './work-handler.ts'
import { LINK_LOADS } from './load-calls.ts'

export interface LoadBoardOptions {
  readonly frames: FrameStream
  readonly handler: Pick<WorkHandler, 'hello' | 'load'>
  /** Aborts with the stream: nobody waits for the model any more. */
  readonly signal: AbortSignal
}

export function createLoadBoard({ frames, handler, signal }: LoadBoardOptions) {
  let running = 0

  const load = async (request: LoadRequest): Promise<LoadReply> => {
    const { digest } = request
    if (handler.load === undefined) {
      const { presence } = await handler.hello()
      const error = new AppError('forbidden', 'This node loads no models for a hub.')
      return { digest, presence, error: errorBody(error) }
    }
    const { presence, error } = await handler.load(request, signal)
    return { digest, presence, error: error === undefined ? null : errorBody(error) }
  }
  return {
    /** @throws {AppError} invalid_request for more concurrent loads than a hub may ask for */
    onFrame(frame: Frame) {
      const request = readJson(LoadRequest, frame)
      if (running >= LINK_LOADS)
        throw new AppError('invalid_request', `More than ${LINK_LOADS} loads at once.`)
      running += 1
      load(request)
        .then((reply) => {
          running -= 1
          frames.send(jsonFrame('loaded', 0, reply))
        })
        .catch((error: unknown) => frames.fail(toAppError(error)))
    },
  }
}
