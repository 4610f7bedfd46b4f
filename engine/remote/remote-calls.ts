/** Calls of a node to an engine in its own process or worker: load a model, unload one, wait until it is idle. */
import { AppError } from '#shared/base/errors.ts'
import type { AdmittedModel } from '#shared/node/node.ts'
import { HANG_LOAD_MS } from '../hang-limits.ts'
import { appErrorOf, type CallReply } from './messages.ts'

type Send = (call: number) => void

export type RemoteCalls = ReturnType<typeof createRemoteCalls>

export function createRemoteCalls(onHung: (detail: string) => void) {
  const open = new Map<number, PromiseWithResolvers<AdmittedModel | null>>()
  let serial = 0
  let lost: AppError | undefined

  const ask = async (send: Send) => {
    if (lost !== undefined) throw lost
    const call = (serial += 1)
    const answer = Promise.withResolvers<AdmittedModel | null>()
    open.set(call, answer)
    try {
      send(call)
      return await answer.promise
    } finally {
      open.delete(call)
    }
  }
  return {
    /** @throws {AppError} the engine's error, or that of `lose` */
    ask: async (send: Send) => void (await ask(send)),
    /** An engine without an answer in time hangs. @throws {AppError} as `ask` does */
    async load(send: Send): Promise<AdmittedModel> {
      const timer = setTimeout(() => onHung('A model was not loaded in time.'), HANG_LOAD_MS)
      try {
        const admitted = await ask(send)
        if (admitted !== null) return admitted
      } finally {
        clearTimeout(timer)
      }
      throw new AppError('internal', 'The engine loaded a model and did not name it.')
    },
    hear(reply: CallReply) {
      const answer = open.get(reply.call)
      if (reply.type === 'done') answer?.resolve(reply.admitted)
      else answer?.reject(appErrorOf(reply.error))
    },
    lose(error: AppError) {
      lost = error
      for (const answer of open.values()) answer.reject(error)
    },
  }
}
