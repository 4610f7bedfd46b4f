/** Passes requests of a test to a worker: only workers may write private files synchronously. */
import type { FilesReply } from './messages.ts'

globalThis.loadFile = (ask) => {
  const worker = new Worker(new URL('./files.worker.ts', import.meta.url), { type: 'module' })
  const { promise, resolve } = Promise.withResolvers<FilesReply>()
  worker.addEventListener('message', ({ data }: MessageEvent<FilesReply>) => {
    worker.terminate()
    resolve(data)
  })
  worker.postMessage(ask)
  return promise
}
