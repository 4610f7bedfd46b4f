/** The engine's side of `remote-jobs.ts` and `remote-calls.ts`, in its own process or worker. */
import { invariant, toWireError } from '#shared/base/errors.ts'
import type { AdmittedModel } from '#shared/node/node.ts'
import type { DeviceEngine } from '../create-engine.ts'
import { UNTAKEN_BYTES, type CallReply, type JobMessage, type JobReply } from './messages.ts'

export interface ServedEngine {
  /** Undefined until it is ready. */
  readonly engine: () => DeviceEngine | undefined
  readonly say: (reply: JobReply | CallReply) => void
}

/** A running job: how to stop it, and how much of its answer the reader has yet to take. */
interface Running {
  readonly controller: AbortController
  untakenBytes: number
  onRoom: () => void
}

export function serveJobs({ engine, say }: ServedEngine): (message: JobMessage) => void {
  const running = new Map<number, Running>()
  const run = async ({ job, work, payload }: JobMessage & { readonly type: 'run' }) => {
    const { signal, ...self } = open(job)
    const live = engine()
    try {
      invariant(live !== undefined, 'the engine is ready')
      say({ type: 'answer', job, answer: await live.run(work, payload, { signal, ...self }) })
    } catch (error) {
      // The device may still work on a job whose caller has left. The next job must not share its end.
      if (!('model' in work)) await live?.idle()
      // The device was lost: a caller that left gets no message, which would let the next job in.
      if (signal.aborted && !('model' in work) && live?.kernels.length === 0) return
      say({ type: 'error', job, error: toWireError(error) })
    } finally {
      running.delete(job)
    }
  }
  const open = (job: number) => {
    const self: Running = { controller: new AbortController(), untakenBytes: 0, onRoom: () => {} }
    running.set(job, self)
    const { signal } = self.controller
    const emit = (bytes: Uint8Array) => {
      if (signal.aborted) return Promise.resolve()
      say({ type: 'bytes', job, bytes })
      self.untakenBytes += bytes.length
      if (self.untakenBytes <= UNTAKEN_BYTES) return Promise.resolve()
      return new Promise<void>((resolve) => (self.onRoom = resolve))
    }
    return { signal, emit }
  }
  return (message) => {
    if (message.type === 'run') return void run(message)
    const job = running.get(message.job)
    if (job === undefined) return
    if (message.type === 'cancel') job.controller.abort()
    else job.untakenBytes -= message.sizeBytes
    if (job.controller.signal.aborted || job.untakenBytes <= UNTAKEN_BYTES) job.onRoom()
  }
}

export async function serveCall(
  { engine, say }: ServedEngine,
  call: number,
  act: (live: DeviceEngine) => Promise<AdmittedModel | void>,
): Promise<void> {
  try {
    const live = engine()
    invariant(live !== undefined, 'the engine is ready')
    say({ type: 'done', call, admitted: (await act(live)) ?? null })
  } catch (error) {
    say({ type: 'failed', call, error: toWireError(error) })
  }
}
