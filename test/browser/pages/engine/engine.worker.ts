/** Opens a tab's engine in a dedicated worker, as the volunteer's page does. */
import { createTabEngine, type TabEngine } from '../../../../browser-node/engine/tab-engine.ts'
import { AppError, toWireError } from '#shared/base/errors.ts'
import { createLog } from '#shared/base/log.ts'
import { MANIFESTS } from '#shared/job/manifests.ts'
import type { Ask, Opened, Ran, ToWorker } from './messages.ts'

const running = new Map<number, AbortController>()
let engine: TabEngine | undefined

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
  if (ask.type === 'offer') return offerOf(opened())
  if (ask.type === 'cancel') running.get(ask.call)?.abort()
  else await opened()[ask.type]()
  return null
}

async function open(models: readonly string[]): Promise<Opened> {
  engine = await createTabEngine({
    manifests: MANIFESTS.filter(({ id }) => models.includes(id)),
    log: createLog(),
  })
  return offerOf(engine)
}

function opened(): TabEngine {
  if (engine === undefined) throw new AppError('internal', 'The engine is not open.')
  return engine
}

function offerOf({ adapter, models, kernels, features = [] }: TabEngine): Opened {
  return { adapter, models, kernels, features }
}

async function run(call: number, { work, payload }: Ask & { type: 'run' }): Promise<Ran> {
  const controller = new AbortController()
  running.set(call, controller)
  let bytes = ''
  try {
    const answer = await opened().run(work, toBytes(payload), {
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
