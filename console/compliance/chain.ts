/** What the page reads of the chain, by itself, at the endpoint that the operator names for everybody. */
import { decodeEventLog, decodeFunctionResult, encodeFunctionData, type Hex } from 'viem'
import { z } from 'zod'
import type { Domain } from '#shared/eip712.ts'
import { Address, type Bytes32 } from '#shared/ids.ts'
import { SETTLEMENT_ABI } from '#shared/settlement-abi.ts'
import type { PublicKey } from '#shared/signature.ts'

const TIMEOUT_MS = 10_000

/** `GET /v1/chain`. */
export const PublicChain = z.object({
  chainId: z.int(),
  settlement: Address,
  rpc: z.string().nullable(),
})
export type PublicChain = z.infer<typeof PublicChain>

export interface PostedBatch {
  readonly batchId: number
  readonly receiptRoot: Bytes32
  readonly logRoot: Bytes32
  readonly blockNumber: number
}

export interface ChainReader {
  isHubKey(key: PublicKey): Promise<boolean>
  /** The batch that a transaction posted; undefined when it posted none. */
  postedBy(transactionHash: Bytes32): Promise<PostedBatch | undefined>
}

const Posted = z.object({
  blockNumber: z.string(),
  logs: z.array(
    z.object({
      address: Address,
      topics: z.array(z.templateLiteral(['0x', z.string()])),
      data: z.templateLiteral(['0x', z.string()]),
    }),
  ),
})

/** @throws when the endpoint is of another chain */
export async function createChainReader(rpc: string, domain: Domain): Promise<ChainReader> {
  const call = createRpc(rpc)
  const chainId = Number(z.string().parse(await call('eth_chainId', [])))
  if (chainId !== domain.chainId)
    throw new Error(`The endpoint is of chain ${chainId}, not of ${domain.chainId}.`)
  const to = domain.verifyingContract
  return {
    async isHubKey({ x, y }) {
      const data = encodeFunctionData({
        abi: SETTLEMENT_ABI,
        functionName: 'isHubKey',
        args: [x, y],
      })
      const result = z.string().parse(await call('eth_call', [{ to, data }, 'latest'])) as Hex
      return decodeFunctionResult({
        abi: SETTLEMENT_ABI,
        functionName: 'isHubKey',
        data: result,
      })
    },
    async postedBy(hash) {
      const receipt = Posted.nullable().parse(await call('eth_getTransactionReceipt', [hash]))
      const own = receipt?.logs.filter(({ address }) => address.toLowerCase() === to.toLowerCase())
      for (const { topics, data } of own ?? []) {
        const posted = decodePosted(topics, data)
        if (posted !== undefined) return { ...posted, blockNumber: Number(receipt?.blockNumber) }
      }
      return undefined
    },
  }
}

function decodePosted(
  topics: readonly Hex[],
  data: Hex,
): Omit<PostedBatch, 'blockNumber'> | undefined {
  const [signature, ...rest] = topics
  if (signature === undefined) return undefined
  try {
    const { eventName, args } = decodeEventLog({
      abi: SETTLEMENT_ABI,
      topics: [signature, ...rest],
      data,
    })
    if (eventName !== 'BatchPosted') return undefined
    const { batchId, receiptRoot, logRoot } = args
    return { batchId: Number(batchId), receiptRoot, logRoot }
  } catch {
    return undefined
  }
}

const Answer = z.object({
  result: z.unknown(),
  error: z.object({ message: z.string() }).optional(),
})

function createRpc(url: string): (method: string, params: unknown[]) => Promise<unknown> {
  return async (method, params) => {
    const response = await fetch(url, {
      method: 'POST',
      headers: { 'content-type': 'application/json' },
      body: JSON.stringify({ jsonrpc: '2.0', id: 1, method, params }),
      credentials: 'omit',
      signal: AbortSignal.timeout(TIMEOUT_MS),
    })
    const { result, error } = Answer.parse(await response.json())
    if (error !== undefined) throw new Error(error.message)
    return result
  }
}
