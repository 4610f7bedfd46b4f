/**
 * Implements `Idempotency-Key`
 * (https://datatracker.ietf.org/doc/draft-ietf-httpapi-idempotency-key-header/). A repeated
 * request is one job and one charge. The first request runs to its end even when its
 * caller leaves; the others wait and get the same answer.
 */
import { createMiddleware } from 'hono/factory'
import { z } from 'zod'
import { AppError } from '#shared/base/errors.ts'
import { newJobId } from '#shared/base/ids.ts'
import { MIB } from '#shared/base/limits.ts'
import { concatBytes } from 'viem'
import { ownTenant, type AppContext, type AppEnv } from './context.ts'
import { decodeBase64, encodeBase64 } from '#shared/base/base64.ts'
import { parseIdempotencyKey, sealRequest, type SealedRequest } from './idempotency-key.ts'
import type { IdempotencyVerdict, KeptAnswer, OnceJob } from '#worker/protocols/idempotency.ts'
import { readBytes } from './body.ts'
import { keepAlive } from './keep-alive.ts'
import { admitPolicy } from './residency.ts'

/** Largest recorded answer. A Durable Object's SQLite takes rows of at most 2 MB. */
const IDEMPOTENCY_BODY_BYTES = MIB

/** The right to run this request, to be completed or released. */
interface Running {
  readonly sealed: SealedRequest
  readonly complete: (answer: KeptAnswer) => Promise<boolean>
  readonly release: () => Promise<void>
}

export const idempotent = createMiddleware<AppEnv>(async (c, next) => {
  const header = c.req.header('idempotency-key')
  if (header === undefined) return await next()
  const key = parseIdempotencyKey(header)
  const bytes = await readBytes(c)
  const sealed = await sealRequest(key, c.req.raw, bytes)
  const tenant = ownTenant(c)
  const { key: digest, fingerprint } = sealed
  const verdict = await tenant.idempotency.begin({ key: digest, fingerprint })
  if (verdict.kind !== 'run') return await answerAgain(c, verdict, sealed)
  // Without the caller's signal: when the caller leaves, the job goes on for its retry.
  const init = { method: c.req.method, body: new Uint8Array(bytes), signal: null }
  c.req.raw = new Request(c.req.raw, init)
  c.set('once', verdict.once)
  const hold = { key: digest, fingerprint, token: verdict.token }
  const run = runAndKeep(c, next, {
    sealed,
    complete: (answer) => tenant.idempotency.complete(hold, answer),
    release: () => tenant.idempotency.release(hold, c.var.jobId !== undefined),
  })
  keepAlive(c, run)
  await run
})

/** Turns the request into a job: the one of its idempotency key, or a new one. */
export function takeJobId(c: AppContext): OnceJob {
  const once = c.get('once') ?? { jobId: newJobId(c.get('isolate').random), firstAttempt: 1 }
  c.set('jobId', once.jobId)
  return once
}

async function runAndKeep(
  c: AppContext,
  next: () => Promise<void>,
  running: Running,
): Promise<void> {
  try {
    await next()
  } catch (error) {
    await running.release()
    throw error
  }
  if (!c.res.ok || c.res.body === null) return await running.release()
  const headers = await sealHeaders(running.sealed, keptHeaders(c))
  const { status } = c.res
  if (c.res.headers.get('content-type')?.startsWith('text/event-stream') === true) {
    const [toCaller, toRecord] = c.res.body.tee()
    c.res = new Response(toCaller, c.res)
    keepAlive(c, keepStream(toRecord, running, { status, headers }))
    return
  }
  const body = new Uint8Array(await c.res.arrayBuffer())
  // Stored before it is answered, so that an answer that was seen is always found again.
  await running.complete({ status, headers, body: await sealWithin(running.sealed, body) })
  c.res = new Response(body, c.res)
}

/** Records a stream in parallel with the caller. Only a completed stream is kept. */
async function keepStream(
  stream: ReadableStream<Uint8Array>,
  running: Running,
  answer: Omit<KeptAnswer, 'body'>,
): Promise<void> {
  try {
    const { body, tail } = await record(stream)
    // Complete streams end with this event; broken ones end with an error.
    if (!/data: \[DONE\]\s*$/.test(new TextDecoder().decode(tail))) return await running.release()
    await running.complete({ ...answer, body: body && (await running.sealed.seal(body)) })
  } catch {
    await running.release()
  }
}

const TAIL_BYTES = 64

/** The stream's bytes, null beyond the bound, and its end. */
async function record(
  stream: ReadableStream<Uint8Array>,
): Promise<{ readonly body: Uint8Array | null; readonly tail: Uint8Array }> {
  let chunks: Uint8Array[] | null = []
  let tail: Uint8Array = new Uint8Array()
  let sizeBytes = 0
  for await (const chunk of stream as ReadableStream<Uint8Array> & AsyncIterable<Uint8Array>) {
    sizeBytes += chunk.length
    tail = concatBytes([tail, chunk]).slice(-TAIL_BYTES)
    if (sizeBytes > IDEMPOTENCY_BODY_BYTES) chunks = null
    chunks?.push(chunk)
  }
  return { body: chunks && concatBytes(chunks), tail }
}

async function sealWithin(
  sealed: SealedRequest,
  body: Uint8Array,
): Promise<Uint8Array<ArrayBuffer> | null> {
  return body.length > IDEMPOTENCY_BODY_BYTES ? null : await sealed.seal(body)
}

/** Headers that describe the answer itself; id and timing belong to each request. */
function keptHeaders(c: AppContext): Record<string, string> {
  const headers: Record<string, string> = {}
  for (const [name, value] of c.res.headers) {
    const isOfAnswer = name.startsWith('x-littoral-') || name === 'inference-header-content-length'
    if (isOfAnswer || name === 'content-type') headers[name] = value
  }
  const policy = c.get('policy')
  if (policy !== undefined) headers['x-littoral-policy'] = `${policy.id}@${policy.version}`
  return headers
}

const SEALED = 'sealed'
const KeptHeaders = z.record(z.string(), z.string())

/** Headers name receipt and node, so they are sealed too: erasure must not leave them behind. */
async function sealHeaders(
  sealed: SealedRequest,
  headers: Readonly<Record<string, string>>,
): Promise<Record<string, string>> {
  const bytes = await sealed.seal(new TextEncoder().encode(JSON.stringify(headers)))
  return { [SEALED]: encodeBase64(bytes) }
}

async function openHeaders(
  sealed: SealedRequest,
  kept: Readonly<Record<string, string>>,
): Promise<Readonly<Record<string, string>>> {
  const bytes = decodeBase64(kept[SEALED] ?? '')
  if (bytes === undefined || bytes.length === 0) return kept
  const plain = await sealed.open(new Uint8Array(bytes))
  return KeptHeaders.parse(JSON.parse(new TextDecoder().decode(plain)))
}

async function answerAgain(
  c: AppContext,
  verdict: Exclude<IdempotencyVerdict, { kind: 'run' }>,
  sealed: SealedRequest,
): Promise<Response> {
  if (verdict.kind !== 'replay') throw refusal(verdict)
  const { status, body } = verdict.answer
  const headers = await openHeaders(sealed, verdict.answer.headers)
  const [policyId = ''] = (headers['x-littoral-policy'] ?? '').split('@')
  // The body alone may have named the policy: it must allow this connection, too.
  await admitPolicy(c, policyId)
  c.get('answerHeaders').set('idempotency-replayed', 'true')
  if (body === null) {
    const receipt = headers['x-littoral-receipt']
    throw new AppError(
      'answer_not_kept',
      `This request was answered${receipt === undefined ? '' : ` (receipt ${receipt})`}, and its answer was too large ` +
        'to be kept. Send it with another key to run it again.',
    )
  }
  return new Response(await sealed.open(body), { status, headers })
}

function refusal(verdict: Exclude<IdempotencyVerdict, { kind: 'run' | 'replay' }>): AppError {
  switch (verdict.kind) {
    case 'reused':
      return new AppError(
        'idempotency_key_reused',
        'This Idempotency-Key was used with another path, policy or body. Use a new key.',
      )
    case 'busy':
      return new AppError(
        'node_timeout',
        'The first request with this Idempotency-Key is still running.',
      )
    case 'full':
      return new AppError(
        'rate_limited',
        'This tenant has reached its maximum number of idempotency keys.',
        {
          meta: { retryAfterSeconds: Math.ceil(verdict.retryAfterMs / 1000) },
        },
      )
  }
}
