/** A chain endpoint that misbehaves, over real HTTP. */
import { createServer, type Server, type ServerResponse } from 'node:http'
import type { AddressInfo } from 'node:net'
import { afterEach, describe, expect, it } from 'vitest'
import { createJsonRpc } from '#worker/ledger/chain/json-rpc.ts'

let server: Server | undefined
afterEach(async () => {
  server?.closeAllConnections()
  await new Promise((resolve) => server?.close(resolve))
})

async function serve(answer: (response: ServerResponse) => void, timeoutMs?: number) {
  const asked: string[] = []
  server = createServer((request, response) => {
    asked.push(String(request.url))
    answer(response)
  })
  await new Promise<void>((resolve) => server?.listen(0, '127.0.0.1', resolve))
  const { port } = server.address() as AddressInfo
  return { rpc: createJsonRpc(`http://127.0.0.1:${port}/secret`, timeoutMs), asked }
}

const ERROR = { code: 3, message: 'execution reverted', data: '0x08c379a0' }

describe('a chain endpoint', () => {
  it.each([200, 400])('may answer with an error of its own (status %i)', async (status) => {
    const body = JSON.stringify({ jsonrpc: '2.0', id: 1, error: ERROR })
    const { rpc } = await serve((response) => response.writeHead(status).end(body))
    const { message, data } = ERROR
    expect((await rpc.ask('eth_estimateGas', [])).error).toEqual({ message, data })
    await expect(rpc.request('eth_estimateGas', [])).rejects.toMatchObject({
      code: 'node_lost',
      detail: 'eth_estimateGas: the chain endpoint answered: execution reverted',
    })
  })

  it('may answer null', async () => {
    const { rpc } = await serve((response) => response.end('{"jsonrpc":"2.0","result":null}'))
    expect(await rpc.request('eth_getTransactionReceipt', [])).toBeNull()
  })

  it.each<[string, (response: ServerResponse) => void]>([
    ['something else than JSON', (response) => response.end('<html>')],
    ['JSON that is no JSON-RPC', (response) => response.end('{"ok":true}')],
    ['a server error', (response) => response.writeHead(503).end('busy')],
    ['too much', (response) => response.end(`{"result":"${'a'.repeat(5 << 20)}"}`)],
    ['nothing', (response) => response.destroy()],
  ])('that answers %s is asked once, and not named in the error', async (_, answer) => {
    const { rpc, asked } = await serve(answer)
    const error: unknown = await rpc.ask('eth_chainId', []).catch((cause: unknown) => cause)
    expect(error).toMatchObject({ code: 'node_lost' })
    expect(String(error)).not.toContain('secret')
    expect(asked).toHaveLength(1)
  })

  it('that stalls in the middle of its answer is given up in time', async () => {
    const { rpc } = await serve((response) => void response.write('{"jsonrpc"'), 50)
    await expect(rpc.ask('eth_chainId', [])).rejects.toMatchObject({ code: 'node_timeout' })
  })
})
