/** One message's request to the Littoral endpoint, tried until it has an answer: the idempotency key makes that one job. */
import { setTimeout as sleep } from 'node:timers/promises'
import type { Log } from '#shared/base/log.ts'

export interface EndpointOptions {
  readonly url: string
  readonly key: string
  /** `/v1/embeddings` */
  readonly path: string
  readonly headers: Readonly<Record<string, string>>
  readonly log: Log
}

export interface EndpointAnswer {
  readonly ok: boolean
  readonly body: string
  readonly receipt: string | null
}

const TIMEOUT_MS = 90_000
const PAUSE_MS = { least: 250, most: 15_000 } as const

/**
 * Asks until there is an answer or a refusal that will not change: a hub that restarts costs time, no message.
 * @throws what `signal` was aborted with
 */
export async function askEndpoint(
  { url, key, path, headers, log }: EndpointOptions,
  { id, body }: { readonly id: string; readonly body: unknown },
  signal: AbortSignal,
): Promise<EndpointAnswer> {
  for (let attempt = 0; ; attempt += 1) {
    signal.throwIfAborted()
    let waitMs = Math.min(PAUSE_MS.most, PAUSE_MS.least * 2 ** attempt)
    try {
      const response = await fetch(new URL(path, url), {
        method: 'POST',
        headers: {
          ...headers,
          authorization: `Bearer ${key}`,
          'content-type': 'application/json',
          'idempotency-key': id,
        },
        body: JSON.stringify(body),
        signal: AbortSignal.any([signal, AbortSignal.timeout(TIMEOUT_MS)]),
      })
      const text = await response.text()
      if (response.ok || response.headers.get('x-should-retry') === 'false')
        return { ok: response.ok, body: text, receipt: response.headers.get('x-littoral-receipt') }
      const asked = Number(response.headers.get('retry-after') ?? 0)
      waitMs = Math.max(waitMs, Math.min(asked * 1_000, PAUSE_MS.most))
      log.warn('request.retried', { id, status: response.status, attempt })
    } catch (cause) {
      signal.throwIfAborted()
      log.warn('request.retried', { id, cause: String(cause), attempt })
    }
    // Bridges that lost the same hub do not come back in step.
    await sleep(waitMs * (0.5 + Math.random() / 2), undefined, { signal })
  }
}
