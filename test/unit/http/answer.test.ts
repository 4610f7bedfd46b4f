/** The headers of an answer, which are set together: those of every answer, and those that tell where the job ran. */
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest'
import { AppError } from '#shared/base/errors.ts'
import { KnownPolicies, readDispatch, writeDispatch } from '#worker/protocols/envelope.ts'
import { packRefusal } from '#worker/protocols/steering.ts'
import { computeRequest } from '#test/support/compute-request.ts'
import { kernelOutcome } from '#test/support/hub/outcome.ts'
import { openApp } from '#test/support/worker-app.ts'

// The build replaces it by a literal.
beforeEach(() => void vi.stubGlobal('__SIMULATED_PLACES__', false))
afterEach(() => void vi.unstubAllGlobals())

const BODY = JSON.stringify(computeRequest('@compute @workgroup_size(1) fn main() {}'))
const OUTCOME = kernelOutcome([{ binding: 0, sizeBytes: 4 }])

async function ask(answer: () => Response, headers: Record<string, string> = {}) {
  const hub = {
    fetch: async (request: Request) => {
      await readDispatch(request, new KnownPolicies())
      return answer()
    },
  }
  const { post } = await openApp({ hub })
  return post('/v1/compute', BODY, headers)
}

const answered = () => writeDispatch({ outcome: OUTCOME, payload: new Uint8Array(4) })
const refused = () =>
  Response.json(packRefusal(new AppError('node_timeout', 'too late')), { status: 504 })

/** Of every answer, errors included. */
const COMMON = {
  'x-request-id': 'req-of-the-caller',
  'x-littoral-policy': expect.stringMatching(/^[a-z-]+@\d+$/),
  'x-content-type-options': 'nosniff',
  'access-control-allow-origin': '*',
  ratelimit: expect.stringMatching(/^"requests";r=\d+;t=\d+$/),
}

describe('an answer', () => {
  it('has the common headers, and tells node, place, receipt and times', async () => {
    const answer = await ask(answered, { 'x-request-id': 'req-of-the-caller' })
    expect(answer.status).toBe(200)
    expect(Object.fromEntries(answer.headers)).toMatchObject({
      ...COMMON,
      'content-type': 'application/json',
      'x-littoral-receipt': OUTCOME.receiptId,
      'x-littoral-node': OUTCOME.nodeId,
      'server-timing': expect.stringMatching(
        /^edge;dur=[\d.]+, queue;dur=[\d.]+, network;dur=[\d.]+, compute;dur=[\d.]+$/,
      ),
    })
  })

  it('that is an error has the common headers, and those of a problem', async () => {
    const answer = await ask(refused, { 'x-request-id': 'req-of-the-caller' })
    expect(answer.status).toBe(504)
    expect(Object.fromEntries(answer.headers)).toMatchObject({
      ...COMMON,
      'content-type': 'application/problem+json',
      'server-timing': expect.stringMatching(/^edge;dur=[\d.]+$/),
    })
  })
})
