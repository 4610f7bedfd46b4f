import { describe, expect, it } from 'vitest'
import { readPublicChain } from '#worker/platform/public-chain.ts'

const CONTRACT = `0x${'ab'.repeat(20)}`
const chain = (rpc: string, contract = CONTRACT, chainId = '10') =>
  readPublicChain({ CHAIN_ID: chainId, SETTLEMENT_ADDRESS: contract, PUBLIC_RPC: rpc })

describe('the public view of the chain', () => {
  it('has its id, the contract and the public endpoint of the operator', () => {
    expect(chain('https://rpc.example/v1')).toEqual({
      chainId: 10,
      settlement: CONTRACT,
      rpc: 'https://rpc.example/v1',
    })
    expect(chain('http://127.0.0.1:8545')?.rpc).toBe('http://127.0.0.1:8545')
    expect(chain('')?.rpc).toBeNull()
  })

  it('is null when nothing is settled', () => {
    expect(chain('https://rpc.example', '')).toBeNull()
    expect(chain('https://rpc.example', CONTRACT, '0')).toBeNull()
  })

  it.each(['javascript:alert(1)', 'rpc.example', "'unsafe-inline'", 'ftp://127.0.0.1/'])(
    '%s is no endpoint',
    (rpc) => {
      expect(() => chain(rpc)).toThrow()
    },
  )
})
