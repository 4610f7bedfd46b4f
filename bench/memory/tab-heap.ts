/** Memory of a tab's page and workers after a collection, through the DevTools protocol. */
import type { Browser, CDPSession } from 'playwright-core'
import { z } from 'zod'
import { MIB } from '#shared/base/limits.ts'

export interface TabHeap {
  /** JavaScript objects of the page and its workers. */
  heapMiB(): Promise<number>
  /** Memory outside the heap that its objects own: array buffers and WebAssembly memory. */
  buffersMiB(): Promise<number>
}

const Received = z.object({ sessionId: z.string(), message: z.string() })
const Reply = z.looseObject({ id: z.int(), result: z.unknown().optional() })
const Usage = z.looseObject({ usedSize: z.number(), backingStorageSize: z.number().default(0) })
const CALL_TIMEOUT_MS = 60_000

/** @param origin only targets of this origin are measured */
export async function openTabHeap(browser: Browser, origin: string): Promise<TabHeap> {
  const cdp = await browser.newBrowserCDPSession()
  const { targetInfos } = await cdp.send('Target.getTargets')
  const own = targetInfos.filter(
    ({ type, url }) => url.startsWith(origin) && (type === 'page' || type === 'worker'),
  )
  const call = createCalls(cdp)
  const sessions: string[] = []
  for (const { targetId } of own) {
    // A browser session of this client cannot address another flat session.
    const { sessionId } = await cdp.send('Target.attachToTarget', { targetId, flatten: false })
    sessions.push(sessionId)
  }
  const usages = async () => {
    const found: z.infer<typeof Usage>[] = []
    for (const session of sessions) {
      await call(session, 'HeapProfiler.collectGarbage')
      found.push(Usage.parse(await call(session, 'Runtime.getHeapUsage')))
    }
    return found
  }
  return {
    async heapMiB() {
      return (await usages()).reduce((sum, { usedSize }) => sum + usedSize, 0) / MIB
    },
    async buffersMiB() {
      return (await usages()).reduce((sum, usage) => sum + usage.backingStorageSize, 0) / MIB
    },
  }
}

function createCalls(cdp: CDPSession) {
  const waiting = new Map<number, (result: unknown) => void>()
  let serial = 0
  cdp.on('Target.receivedMessageFromTarget', (event) => {
    const { id, result } = Reply.partial({ id: true }).parse(
      JSON.parse(Received.parse(event).message),
    )
    if (id === undefined) return
    waiting.get(id)?.(result)
    waiting.delete(id)
  })
  return async (sessionId: string, method: string): Promise<unknown> => {
    const id = (serial += 1)
    const { promise, resolve, reject } = Promise.withResolvers<unknown>()
    waiting.set(id, resolve)
    const timer = setTimeout(() => reject(new Error(`${method} got no answer`)), CALL_TIMEOUT_MS)
    await cdp.send('Target.sendMessageToTarget', {
      sessionId,
      message: JSON.stringify({ id, method, params: {} }),
    })
    return promise.finally(() => clearTimeout(timer))
  }
}
