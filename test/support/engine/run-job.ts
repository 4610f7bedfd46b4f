import type { Engine } from '#engine/engine.ts'
import type { Job } from './engine-jobs.ts'

/** Runs a job on an engine and collects its bytes. */
export async function runJob(engine: Engine, { work, payload }: Job, signal?: AbortSignal) {
  const chunks: Uint8Array[] = []
  const answer = await engine.run(work, payload, {
    signal: signal ?? new AbortController().signal,
    emit: async (bytes) => void chunks.push(bytes),
  })
  return { answer, bytes: new Uint8Array(Buffer.concat(chunks)) }
}
