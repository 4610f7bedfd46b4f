/** What a warm request costs beside its job and its calls: timers and log lines, by count. */
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest'
import { AppError } from '#shared/base/errors.ts'
import { createLog } from '#shared/base/log.ts'
import { KnownPolicies, readDispatch, writeDispatch } from '#worker/protocols/envelope.ts'
import { packRefusal } from '#worker/protocols/steering.ts'
import { computeRequest } from '#test/support/compute-request.ts'
import { kernelOutcome } from '#test/support/hub/outcome.ts'
import { openApp } from '#test/support/worker-app.ts'

const BODY = JSON.stringify(computeRequest('@compute @workgroup_size(1) fn main() {}'))
const REQUESTS = 50

// The build replaces it by a literal.
beforeEach(() => {
  vi.stubGlobal('__SIMULATED_PLACES__', false)
  // Leases and cached keys end with time, which is not what is counted here.
  vi.useFakeTimers({ toFake: ['Date'] })
})
afterEach(() => {
  vi.useRealTimers()
  vi.unstubAllGlobals()
})

async function createWorker(answer: () => Response = answered) {
  const lines: Record<string, unknown>[] = []
  const log = createLog({ write: (line) => lines.push(JSON.parse(line) as never) })
  const hub = {
    fetch: async (request: Request) => {
      await readDispatch(request, new KnownPolicies())
      return answer()
    },
  }
  const { post } = await openApp({ hub, log })
  const ask = (headers?: Record<string, string>) => post('/v1/compute', BODY, headers)
  return { ask, lines }
}

function answered(): Response {
  const payload = new Uint8Array(4)
  return writeDispatch({ outcome: kernelOutcome([{ binding: 0, sizeBytes: 4 }]), payload })
}

describe('a warm request', () => {
  it('writes no log line', async () => {
    const { ask, lines } = await createWorker()
    for (let n = 0; n < REQUESTS; n += 1) expect((await ask()).status).toBe(200)
    expect(lines).toEqual([])
  })

  it('sets one timer and makes no signal of the runtime', async () => {
    const { ask } = await createWorker()
    await ask()
    const timers = vi.spyOn(globalThis, 'setTimeout')
    const [any, timeout] = [vi.spyOn(AbortSignal, 'any'), vi.spyOn(AbortSignal, 'timeout')]
    for (let n = 0; n < REQUESTS; n += 1) await ask()
    expect(timers.mock.calls.length).toBeLessThanOrEqual(REQUESTS)
    expect(any).not.toHaveBeenCalled()
    expect(timeout).not.toHaveBeenCalled()
    vi.restoreAllMocks()
  })
})

describe('a refused request', () => {
  const refused = () =>
    Response.json(packRefusal(new AppError('node_timeout', 'too late')), { status: 504 })

  it('of a tenant is logged at once, with its trace, job and code', async () => {
    const { ask, lines } = await createWorker(refused)
    const traceId = '0af7651916cd43dd8448eb211c80319c'
    expect((await ask({ traceparent: `00-${traceId}-b7ad6b7169203331-01` })).status).toBe(504)
    expect(lines).toEqual([
      expect.objectContaining({
        event: 'request.refused',
        traceId,
        tenant: 'acme',
        code: 'node_timeout',
        requestId: expect.any(String),
        jobId: expect.any(String),
      }),
    ])
  })

  it('is only counted once the isolate has written enough such lines, and the next line says how many', async () => {
    const { ask, lines } = await createWorker(refused)
    for (let n = 0; n < 200; n += 1) await ask()
    const written = lines.length
    expect(written).toBeLessThan(100)
    vi.setSystemTime(Date.now() + 1_000)
    await ask()
    expect(lines.at(-1)).toMatchObject({ linesDropped: 200 - written })
  })

  it('of a stranger writes nothing', async () => {
    const { ask, lines } = await createWorker()
    expect((await ask({ authorization: 'Bearer nobody' })).status).toBe(401)
    expect(lines).toEqual([])
  })
})
