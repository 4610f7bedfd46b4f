/** What a Node process's own objects hold once their garbage is collected, through its inspector. */
import { once } from 'node:events'
import { setTimeout as sleep } from 'node:timers/promises'
import { WebSocket } from 'ws'
import { z } from 'zod'

export interface NodeHeap {
  /** In MiB, after a collection. */
  heapMiB(): Promise<number>
  close(): void
}

const Reply = z.looseObject({ id: z.int().optional(), result: z.unknown().optional() })
const Usage = z.looseObject({ usedSize: z.number() })
const OPEN_TIMEOUT_MS = 10_000
const LISTENING = /Debugger listening on (ws:\S+)/

/** Lets a process that is started meanwhile open its inspector, when it is asked to, at a port that is free. */
export async function withFreeInspectorPort<T>(start: () => Promise<T>): Promise<T> {
  const before = process.env.NODE_OPTIONS
  process.env.NODE_OPTIONS = `${before ?? ''} --inspect-port=0`.trim()
  try {
    return await start()
  } finally {
    if (before === undefined) delete process.env.NODE_OPTIONS
    else process.env.NODE_OPTIONS = before
  }
}

/** @param node what it has written so far tells where its inspector listens */
export async function openNodeHeap(node: {
  readonly pid: number
  readonly lines: readonly string[]
}): Promise<NodeHeap> {
  process.kill(node.pid, 'SIGUSR1')
  const socket = new WebSocket(await inspectorOf(node.lines))
  await once(socket, 'open', { signal: AbortSignal.timeout(OPEN_TIMEOUT_MS) })
  const waiting = new Map<number, (result: unknown) => void>()
  let serial = 0
  socket.on('message', (message: Buffer) => {
    const { id = 0, result } = Reply.parse(JSON.parse(message.toString()))
    waiting.get(id)?.(result)
    waiting.delete(id)
  })
  const call = (method: string) => {
    const { promise, resolve } = Promise.withResolvers<unknown>()
    waiting.set((serial += 1), resolve)
    socket.send(JSON.stringify({ id: serial, method }))
    return promise
  }
  return {
    async heapMiB() {
      await call('HeapProfiler.collectGarbage')
      return Usage.parse(await call('Runtime.getHeapUsage')).usedSize / 2 ** 20
    },
    close: () => socket.close(),
  }
}

async function inspectorOf(lines: readonly string[]): Promise<string> {
  const endMs = performance.now() + OPEN_TIMEOUT_MS
  while (performance.now() < endMs) {
    const found = lines.map((line) => LISTENING.exec(line)?.[1]).find((url) => url !== undefined)
    if (found !== undefined) return found
    await sleep(50)
  }
  throw new Error('the node did not open its inspector')
}
