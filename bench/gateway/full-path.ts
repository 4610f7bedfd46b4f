/** The request of the full path, and the wait until its process has finished the work. */
import { cpuMsOf } from '../harness/cpu-time.ts'
import type { HttpCall } from '../harness/http-client.ts'
import type { Running } from '../harness/live-stack.ts'

/** The full path answers it; the proxies carry the same bytes. */
const EMBEDDING = JSON.stringify({
  model: 'littoral-embed-400k',
  input: 'pump 7 runs hot and vibrates since the night shift',
  encoding_format: 'base64',
})

export function bearer({ apiKey }: Pick<Running, 'apiKey'>): string {
  return `Bearer ${apiKey}`
}

export function embeddingCall(running: Pick<Running, 'apiKey'>): HttpCall {
  const headers = { authorization: bearer(running), 'content-type': 'application/json' }
  return { method: 'POST', path: '/v1/embeddings', headers, body: EMBEDDING }
}

const QUIET = { windowMs: 250, windows: 6, cpuMs: 3, boundMs: 10_000 }

/** Waits until the processes were idle for 1.5 s, which is longer than the pause between two batches. */
export async function untilQuiet(pids: readonly number[]): Promise<void> {
  const deadlineMs = performance.now() + QUIET.boundMs
  let last = cpuMsOf(pids)
  for (let quiet = 0; quiet < QUIET.windows && performance.now() < deadlineMs;) {
    await new Promise((resolve) => setTimeout(resolve, QUIET.windowMs))
    const now = cpuMsOf(pids)
    if (last === undefined || now === undefined) return
    quiet = now - last < QUIET.cpuMs ? quiet + 1 : 0
    last = now
  }
}
