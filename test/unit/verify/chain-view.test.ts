/** Reading the chain over JSON-RPC: when it asks again, and what it refuses. */
import { createServer, type Server } from 'node:http'
import type { AddressInfo } from 'node:net'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { createChainView } from '#shared/verify/chain-view.ts'

const SETTLEMENT = `0x${'11'.repeat(20)}` as const

let server: Server
/** Answers of the endpoint in order; the last one is repeated. */
let script: readonly (readonly [status: number, body: object | string])[] = []
let asked = 0

beforeAll(async () => {
  server = createServer((_request, response) => {
    const [status, body] = script[Math.min(asked, script.length - 1)] ?? [500, '']
    asked += 1
    response.writeHead(status).end(typeof body === 'string' ? body : JSON.stringify(body))
  })
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
})

afterAll(() => server.close())

function open(...answers: typeof script) {
  script = answers
  asked = 0
  return createChainView(`http://127.0.0.1:${(server.address() as AddressInfo).port}`, SETTLEMENT)
}

test('asks a busy endpoint again', async () => {
  const view = await open(
    [503, 'busy'],
    [429, { error: { code: -32005, message: 'slow' } }],
    [200, { result: '0x7a69' }],
  )
  expect(view.domain).toEqual({ chainId: 31_337, verifyingContract: SETTLEMENT })
  expect(asked).toBe(3)
})

test.each([
  ['an error of the chain', 200, { error: { code: -32603, message: 'no such thing' } }, 'no such'],
  ['an error of the endpoint', 400, 'bad request', 'bad request'],
  ['an answer that is no JSON', 200, '<html>', 'JSON'],
  ['an answer that is too long', 200, { result: `0x${'0'.repeat(4 << 20)}` }, 'size limit'],
  ['a result that is no hex', 200, { result: 7 }, 'string'],
])('asks once and fails on %s', async (_what, status, body, words) => {
  await expect(open([status, body])).rejects.toThrow(words)
  expect(asked).toBe(1)
})
