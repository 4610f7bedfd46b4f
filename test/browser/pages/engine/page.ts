/** Passes calls of a test to the engine's worker. */
import type { FromWorker, Reply } from './messages.ts'

const worker = new Worker(new URL('./engine.worker.ts', import.meta.url), { type: 'module' })
const waiting = new Map<number, (reply: Reply) => void>()

worker.addEventListener('message', ({ data }: MessageEvent<FromWorker>) => {
  waiting.get(data.call)?.(data.reply)
  waiting.delete(data.call)
})

globalThis.callEngine = (call, ask) =>
  new Promise((resolve) => {
    waiting.set(call, resolve)
    worker.postMessage({ call, ask })
  })
