/** Pages of any origin may call, and an answer is not copied to say so. */
import { beforeAll, describe, expect, it, vi } from 'vitest'
import { createApp } from '#worker/app.ts'
import { createIsolate } from '#worker/isolate.ts'
import { silentLog } from '#shared/base/log.ts'
import { environmentOf, EXECUTION_CONTEXT } from '#test/support/worker-app.ts'

// The build replaces it by a literal.
beforeAll(() => void vi.stubGlobal('__SIMULATED_PLACES__', false))

const app = createApp({ ...createIsolate(), log: silentLog })
const ask = (init: RequestInit, path = '/v2/health/live') =>
  app.request(`http://localhost${path}`, init, environmentOf({}), EXECUTION_CONTEXT)

describe('a page of another origin', () => {
  it('may read every answer and its headers, errors included', async () => {
    const headers = { origin: 'https://elsewhere.example' }
    const answers = [await ask({ headers }), await ask({ headers }, '/v1/policies')]
    expect(answers.map(({ status }) => status)).toEqual([200, 401])
    for (const { headers: given } of answers) {
      expect(given.get('access-control-allow-origin')).toBe('*')
      expect(given.get('access-control-expose-headers')).toBe('*')
      expect(given.has('access-control-allow-credentials')).toBe(false)
    }
  })

  it('may send whatever headers its preflight asks for', async () => {
    const asked = 'authorization, x-stainless-os'
    const answer = await ask({
      method: 'OPTIONS',
      headers: {
        origin: 'https://elsewhere.example',
        'access-control-request-method': 'POST',
        'access-control-request-headers': asked,
      },
    })
    expect(answer.status).toBe(204)
    expect(answer.headers.get('access-control-allow-headers')).toBe(asked)
    expect(answer.headers.get('access-control-allow-methods')).toContain('POST')
    expect(answer.headers.get('vary')).toBe('access-control-request-headers')
  })
})

describe('an answer', () => {
  it('is one Response, whatever headers are added to it', async () => {
    let made = 0
    class CountedResponse extends Response {
      constructor(...given: ConstructorParameters<typeof Response>) {
        super(...given)
        made += 1
      }
    }
    vi.stubGlobal('Response', CountedResponse)
    try {
      const answer = await ask({})
      expect(answer.headers.get('x-request-id')).not.toBeNull()
      expect(made).toBe(1)
    } finally {
      vi.stubGlobal('Response', Object.getPrototypeOf(CountedResponse))
    }
  })
})
