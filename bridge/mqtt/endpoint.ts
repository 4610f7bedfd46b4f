/** Sends a message's request to the Littoral endpoint until it is answered. The idempotency key makes all tries one job. */
import { setTimeout as sleep } from 'node:timers/promises'
import type { Log } from '#shared/base/log.ts'
import type { MqttOptions } from './config.ts'

export interface EndpointOptions extends Pick<MqttOptions, 'url' | 'key' | 'path' | 'policy'> {
  readonly log: Log
}

const TIMEOUT_MS = 90_000
const PAUSE_MS = { least: 250, most: 15_000 } as const

/**
 * Retries until there is an answer or a permanent refusal, so that a hub that restarts delays a message but loses none.
 * @returns the reply's body
 * @throws the abort reason of `signal`
 */
export async function askEndpoint(
  { url, key, path, policy, log }: EndpointOptions,
  { id, body }: { readonly id: string; readonly body: unknown },
  signal: AbortSignal,
): Promise<string> {
  for (let attempt = 0; ; attempt += 1) {
    signal.throwIfAborted()
    let waitMs = Math.min(PAUSE_MS.most, PAUSE_MS.least * 2 ** attempt)
    try {
      const response = await fetch(new URL(path, url), {
        method: 'POST',
        headers: {
          ...(policy === undefined ? {} : { 'x-littoral-policy': policy }),
          authorization: `Bearer ${key}`,
          'content-type': 'application/json',
          'idempotency-key': id,
        },
        body: JSON.stringify(body),
        signal: AbortSignal.any([signal, AbortSignal.timeout(TIMEOUT_MS)]),
      })
      const text = await response.text()
      if (response.ok || response.headers.get('x-should-retry') === 'false') return text
      const asked = Number(response.headers.get('retry-after') ?? 0)
      waitMs = Math.max(waitMs, Math.min(asked * 1_000, PAUSE_MS.most))
      log.warn('request.retried', { id, status: response.status, attempt })
    } catch (cause) {
      signal.throwIfAborted()
      log.warn('request.retried', { id, cause: String(cause), attempt })
    }
    // Jitter: bridges that lost the same hub should not all return at once.
    await sleep(waitMs * (0.5 + Math.random() / 2), undefined, { signal })
  }
}
