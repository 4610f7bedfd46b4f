/** A CPU profile of another process through its V8 inspector: workerd's, or Node's after SIGUSR1. */
import { once } from 'node:events'
import { WebSocket } from 'ws'
import { z } from 'zod'

const TIMEOUT_MS = 30_000
const SAMPLE_EVERY_US = 200

/** https://chromedevtools.github.io/devtools-protocol/tot/Profiler/#type-Profile */
export const CpuProfile = z.looseObject({
  nodes: z.array(
    z.looseObject({
      id: z.int(),
      callFrame: z.looseObject({ functionName: z.string(), lineNumber: z.int() }),
      children: z.array(z.int()).optional(),
    }),
  ),
  samples: z.array(z.int()),
  timeDeltas: z.array(z.number()),
})
export type CpuProfile = z.infer<typeof CpuProfile>

const Targets = z.array(z.looseObject({ webSocketDebuggerUrl: z.string() })).min(1)
const Reply = z.looseObject({ id: z.int().optional(), result: z.unknown().optional() })

export interface Profiling {
  stop(): Promise<CpuProfile>
}

/** Starts sampling the first isolate behind an inspector's address. */
export async function startProfile(address: string): Promise<Profiling> {
  const answer = await fetch(`http://${address}/json/list`, {
    signal: AbortSignal.timeout(TIMEOUT_MS),
  })
  const [target] = Targets.parse(await answer.json())
  const socket = new WebSocket(target?.webSocketDebuggerUrl ?? '')
  await once(socket, 'open', { signal: AbortSignal.timeout(TIMEOUT_MS) })
  const waiting = new Map<number, (result: unknown) => void>()
  let last = 0
  socket.on('message', (message: Buffer) => {
    const { id = 0, result } = Reply.parse(JSON.parse(message.toString()))
    waiting.get(id)?.(result)
    waiting.delete(id)
  })
  const send = (method: string, params = {}) => {
    const { promise, resolve } = Promise.withResolvers<unknown>()
    waiting.set(++last, resolve)
    socket.send(JSON.stringify({ id: last, method, params }))
    return promise
  }
  await send('Profiler.enable')
  await send('Profiler.setSamplingInterval', { interval: SAMPLE_EVERY_US })
  await send('Profiler.start')
  return {
    async stop() {
      const { profile } = z.looseObject({ profile: CpuProfile }).parse(await send('Profiler.stop'))
      socket.close()
      return profile
    },
  }
}
