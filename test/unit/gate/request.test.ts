/** The Worker's middleware around a request, over a real tenant core and without a hub. */
import { beforeAll, describe, expect, it, vi } from 'vitest'
import { createLog } from '#shared/base/log.ts'
import { openApp } from '#test/support/worker-app.ts'
import { sealRequest } from '#worker/gate/idempotency-key.ts'

// The build replaces it by a literal.
beforeAll(() => void vi.stubGlobal('__SIMULATED_PLACES__', false))

const JSON_TYPE = { 'content-type': 'application/json' }
const PATH = '/v1/embeddings'
const BODY = JSON.stringify({ model: 'littoral-embed-400k', input: 'a' })

async function createWorker() {
  const lines: Record<string, unknown>[] = []
  const log = createLog({ level: 'debug', write: (line) => lines.push(JSON.parse(line) as never) })
  const { core, post } = await openApp({ log })
  return { core, lines, post: (headers: Record<string, string>) => post(PATH, BODY, headers) }
}

describe('a log line', () => {
  it('[X1] carries the trace of the caller, whatever the outcome', async () => {
    const { post, lines } = await createWorker()
    const traceId = '0af7651916cd43dd8448eb211c80319c'
    await post({ traceparent: `00-${traceId}-b7ad6b7169203331-01` })
    expect(lines.length).toBeGreaterThan(0)
    expect(new Set(lines.map((line) => line['traceId']))).toEqual(new Set([traceId]))
  })
})

describe('a request', () => {
  it('[D1] with a malformed deadline is refused before it counts against the quota', async () => {
    const { post, core } = await createWorker()
    const response = await post({ 'x-littoral-deadline-ms': 'soon' })
    expect(response.status).toBe(400)
    expect(await response.json()).toMatchObject({
      errors: [{ pointer: '/headers/x-littoral-deadline-ms' }],
    })
    expect(core.quota.state().requestsThisMinute).toBe(0)
  })

  it('[I4] that fails releases its idempotency key', async () => {
    const { post } = await createWorker()
    for (let i = 0; i < 3; i += 1) {
      const response = await post({ 'idempotency-key': 'k' })
      expect(response.status).toBe(502)
      expect(response.headers.has('idempotency-replayed')).toBe(false)
    }
  })

  it('whose answer was too large to keep gets an error that names the receipt', async () => {
    const { post, core } = await createWorker()
    const init = { method: 'POST', body: BODY, headers: JSON_TYPE }
    const sent = new Request(`http://localhost${PATH}`, init)
    const { key, fingerprint } = await sealRequest(
      'large',
      { method: 'POST', url: sent.url, headers: sent.headers },
      new TextEncoder().encode(BODY),
    )
    const verdict = await core.idempotency.begin({ key, fingerprint })
    if (verdict.kind !== 'run') throw new Error(verdict.kind)
    const headers = { 'x-littoral-receipt': '0xabc', 'x-littoral-policy': 'personal-eea@1' }
    const hold = { key, fingerprint, token: verdict.token }
    core.idempotency.complete(hold, { status: 200, headers, body: null })
    const response = await post({
      'idempotency-key': 'large',
      'content-type': sent.headers.get('content-type') ?? '',
    })
    expect(response.status).toBe(410)
    expect(response.headers.get('x-should-retry')).toBe('false')
    expect(await response.json()).toMatchObject({
      code: 'answer_not_kept',
      detail: expect.stringContaining('receipt 0xabc'),
    })
  })
})
