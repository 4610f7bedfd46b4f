/** Loads that a hub has asked of one node and not heard of yet. */
import { AppError } from '#shared/base/errors.ts'
import type { Bytes32 } from '#shared/base/ids.ts'
import type { SignedPresence } from '#shared/node/node.ts'
import type { FrameStream } from '#p2p/stream/frame-stream.ts'
import { jsonFrame, readJson, type Frame } from '#p2p/stream/frames.ts'
import { LoadReply, type LoadRequest } from '#p2p/stream/messages.ts'
import { errorOf } from '#p2p/stream/wire-error.ts'

/** Loads that one hub may request from a node at once. */
export const LINK_LOADS = 4

/** @param onPresence checks and takes the record in each reply; a throw fails the load */
export function createLoadCalls(
  frames: FrameStream,
  onPresence: (signed: SignedPresence) => Promise<void>,
) {
  const open = new Map<Bytes32, PromiseWithResolvers<void>>()
  const take = async ({ presence, error }: LoadReply) => {
    await onPresence(presence)
    if (error !== null) throw errorOf(error)
  }
  return {
    /**
     * Resolves when the node has the model and its new presence record was accepted.
     * @throws {AppError} no_capacity for too many loads, node_lost, or why the node did not load it
     */
    ask(request: LoadRequest) {
      const begun = open.get(request.digest)
      if (begun !== undefined) return begun.promise
      if (!frames.isOpen()) return Promise.reject(new AppError('node_lost', 'The node has left.'))
      if (open.size >= LINK_LOADS)
        return Promise.reject(
          new AppError('no_capacity', 'The node is already loading other models.'),
        )
      const answer = Promise.withResolvers<void>()
      open.set(request.digest, answer)
      frames.send(jsonFrame('load', 0, request))
      return answer.promise
    },
    /** @throws {AppError} invalid_request for a reply to no request */
    onFrame(frame: Frame) {
      const reply = readJson(LoadReply, frame)
      const answer = open.get(reply.digest)
      if (answer === undefined)
        throw new AppError('invalid_request', 'The node replied to a load that was not requested.')
      open.delete(reply.digest)
      take(reply).then(answer.resolve, answer.reject)
    },
    lose(error: AppError) {
      for (const answer of open.values()) answer.reject(error)
      open.clear()
    },
  }
}
