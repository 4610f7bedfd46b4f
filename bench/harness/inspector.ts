/** A client of V8's inspector in another process. */
import { once } from 'node:events'
import { WebSocket } from 'ws'
import { z } from 'zod'

export interface Inspector {
  readonly call: (method: string, params?: object) => Promise<unknown>
  readonly close: () => void
}

const Reply = z.looseObject({ id: z.int().optional(), result: z.unknown().optional() })
const OPEN_TIMEOUT_MS = 30_000

export async function openInspector(url: string): Promise<Inspector> {
  const socket = new WebSocket(url)
  await once(socket, 'open', { signal: AbortSignal.timeout(OPEN_TIMEOUT_MS) })
  const waiting = new Map<number, (result: unknown) => void>()
  let last = 0
  socket.on('message', (message: Buffer) => {
    const { id = 0, result } = Reply.parse(JSON.parse(message.toString()))
    waiting.get(id)?.(result)
    waiting.delete(id)
  })
  return {
    call(method, params = {}) {
      const { promise, resolve } = Promise.withResolvers<unknown>()
      waiting.set(++last, resolve)
      socket.send(JSON.stringify({ id: last, method, params }))
      return promise
    },
    close: () => socket.close(),
  }
}
