/** A tab's engine in its dedicated worker, exactly as the volunteer's page opens it. */
import { createTabEngine } from '../../../../browser-node/device.ts'
import { createModelFiles } from '../../../../browser-node/model-files.ts'
import { openFileShelf } from '../../../../browser-node/file-shelf.ts'
import type { Engine } from '#engine/engine.ts'
import { AppError, toWireError } from '#shared/errors.ts'
import { createLog } from '#shared/log.ts'
import { MANIFESTS } from '#shared/manifests.ts'
import type { Ask, Opened, Ran, ToWorker } from './messages.ts'

const running = new Map<number, AbortController>()
let engine: Engine | undefined

self.addEventListener('message', ({ data }: MessageEvent<ToWorker>) => {
  const { call, ask } = data
  obey(call, ask).then(
    (value) => self.postMessage({ call, reply: { value } }),
    (error: unknown) => self.postMessage({ call, reply: { error: toWireError(error) } }),
  )
})

async function obey(call: number, ask: Ask): Promise<Opened | Ran | null> {
  if (ask.type === 'open') return open(ask.models)
  if (ask.type === 'run') return run(call, ask)
  running.get(ask.call)?.abort()
  return null
}

async function open(models: readonly string[]): Promise<Opened> {
  const { origin } = self.location
  engine = await createTabEngine({
    manifests: MANIFESTS.filter(({ id }) => models.includes(id)),
    loadFile: createModelFiles({
      origin,
      fetch: (input, init) => fetch(input, init),
      shelf: await openFileShelf(),
      log: createLog(),
      onBytes: () => {},
    }),
    log: createLog(),
  })
  return { adapter: engine.adapter, models: engine.models, kernels: engine.kernels }
}

async function run(call: number, { work, payload }: Ask & { type: 'run' }): Promise<Ran> {
  if (engine === undefined) throw new AppError('internal', 'The engine is not open.')
  const controller = new AbortController()
  running.set(call, controller)
  let bytes = ''
  try {
    const answer = await engine.run(work, toBytes(payload), {
      signal: controller.signal,
      emit: async (chunk) => {
        for (const byte of chunk) bytes += String.fromCharCode(byte)
      },
    })
    return { answer, bytes: btoa(bytes) }
  } finally {
    running.delete(call)
  }
}

function toBytes(base64: string): Uint8Array {
  return Uint8Array.from(atob(base64), (char) => char.charCodeAt(0))
}
