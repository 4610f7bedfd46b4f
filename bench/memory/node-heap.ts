/** Memory that the objects of a Node process hold after a collection, through its inspector. */
import { setTimeout as sleep } from 'node:timers/promises'
import { z } from 'zod'
import { openInspector } from '../harness/inspector.ts'

export interface NodeHeap {
  /** After a collection. */
  heapMiB(): Promise<number>
  close(): void
}

const Usage = z.looseObject({ usedSize: z.number() })
const OPEN_TIMEOUT_MS = 10_000
const LISTENING = /Debugger listening on (ws:\S+)/

/** A process that `start` starts will open its inspector at a free port. */
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

/** @param node its lines name the address of its inspector */
export async function openNodeHeap(node: {
  readonly pid: number
  readonly lines: readonly string[]
}): Promise<NodeHeap> {
  process.kill(node.pid, 'SIGUSR1')
  const { call, close } = await openInspector(await inspectorOf(node.lines))
  return {
    async heapMiB() {
      await call('HeapProfiler.collectGarbage')
      return Usage.parse(await call('Runtime.getHeapUsage')).usedSize / 2 ** 20
    },
    close,
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
