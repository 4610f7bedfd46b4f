/** The message that a batch has ended, in the form of Standard Webhooks: https://github.com/standard-webhooks/standard-webhooks/blob/main/spec/standard-webhooks.md */
import { decodeBase64, encodeBase64 } from '#shared/base/base64.ts'
import { Webhook as Signer } from 'standardwebhooks'
import type { Webhook } from '#worker/protocols/batch.ts'

const WEBHOOK_TIMEOUT_MS = 10_000

const SECRET = /^whsec_([A-Za-z0-9+/]+={0,2})$/
const SECRET_BYTES = { least: 24, most: 64, drawn: 32 } as const

export interface WebhookMessage {
  /** The same for every attempt, so that the receiver can recognise repetitions. */
  readonly id: string
  readonly body: string
}

export type SendRequest = (request: Request) => Promise<Response>

export type Delivery = 'delivered' | 'failed' | 'refused'

/** Undefined for anything but `whsec_` and the base64 of 24 to 64 bytes. */
export function readSecret(secret: string): Uint8Array<ArrayBuffer> | undefined {
  const base64 = SECRET.exec(secret)?.[1]
  const bytes = base64 === undefined ? undefined : decodeBase64(base64)
  if (bytes === undefined) return undefined
  const isFit = bytes.length >= SECRET_BYTES.least && bytes.length <= SECRET_BYTES.most
  return isFit ? new Uint8Array(bytes) : undefined
}

export function newSecret(randomBytes: (sizeBytes: number) => Uint8Array): string {
  return `whsec_${encodeBase64(randomBytes(SECRET_BYTES.drawn))}`
}

/** Makes one attempt. Redirects are not followed, because only the original address was checked. */
export async function deliverMessage(
  webhook: Webhook,
  message: WebhookMessage,
  { nowMs, send }: { readonly nowMs: number; readonly send: SendRequest },
): Promise<Delivery> {
  const at = new Date(nowMs)
  const request = new Request(webhook.url, {
    method: 'POST',
    body: message.body,
    redirect: 'manual',
    headers: {
      'content-type': 'application/json',
      'user-agent': 'littoral-webhook/1',
      'webhook-id': message.id,
      'webhook-timestamp': String(Math.floor(nowMs / 1000)),
      'webhook-signature': new Signer(webhook.secret).sign(message.id, at, message.body),
    },
    signal: AbortSignal.timeout(WEBHOOK_TIMEOUT_MS),
  })
  try {
    const response = await send(request)
    await response.body?.cancel()
    if (response.ok) return 'delivered'
    // By the specification, 410 means that the endpoint wants no more messages.
    return response.status === 410 ? 'refused' : 'failed'
  } catch {
    return 'failed'
  }
}
