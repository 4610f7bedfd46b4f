/** Loads one model file as a tab does, and lists the browser's private files afterwards. */
import { openFileShelf } from '../../../../browser-node/engine/file-shelf.ts'
import { createModelFiles } from '../../../../browser-node/engine/model-files.ts'
import { toAppError } from '#shared/base/errors.ts'
import { silentLog } from '#shared/base/log.ts'
import { digestBytes } from '#shared/receipt/receipt.ts'
import type { FilesAsk } from './messages.ts'

self.addEventListener('message', ({ data }: MessageEvent<FilesAsk>) => {
  void load(data).then(async (outcome) => self.postMessage({ outcome, kept: await listKept() }))
})

async function load({ file, limitBytes }: FilesAsk): Promise<string> {
  const loadFile = createModelFiles({
    origin: self.location.origin,
    fetch: (input, init) => fetch(input, init),
    shelf: await openFileShelf(limitBytes),
    log: silentLog,
    onBytes: () => {},
  })
  try {
    return await digestBytes(await loadFile(file, AbortSignal.timeout(20_000)))
  } catch (error) {
    return toAppError(error).code
  }
}

async function listKept(): Promise<[string, number][]> {
  const root = await navigator.storage.getDirectory()
  const folder = await root.getDirectoryHandle('littoral-models')
  const kept: [string, number][] = []
  for await (const [name, handle] of folder.entries())
    if (name.startsWith('0x'))
      kept.push([name, (await (handle as FileSystemFileHandle).getFile()).size])
  return kept
}
