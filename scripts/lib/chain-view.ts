/** What a stranger reads from the chain to check a receipt or to be paid; needs no key and trusts only the node it asks. */
import { createPublicClient, http, parseEventLogs, TransactionReceiptNotFoundError } from 'viem'
import type { Domain } from '#shared/eip712.ts'
import type { Address, Bytes32 } from '#shared/ids.ts'
import { SETTLEMENT_ABI } from '#shared/settlement-abi.ts'
import type { PublicKey } from '#shared/signature.ts'

export interface PostedBatch {
  readonly batchId: number
  readonly receiptRoot: Bytes32
  /** Over the checkpoints of its tenants' audit logs. */
  readonly logRoot: Bytes32
  readonly blockNumber: number
}

export interface ChainView {
  readonly domain: Domain
  isHubKey(key: PublicKey): Promise<boolean>
  /** The root that the contract keeps for a batch; zero when there is none. */
  receiptRoot(batchId: number): Promise<Bytes32>
  /** The batch that a transaction posted; undefined when it posted none. */
  postedBy(transactionHash: Bytes32): Promise<PostedBatch | undefined>
}

/** Reads `settlement` through the JSON-RPC endpoint `rpc`. */
export async function createChainView(rpc: string, settlement: Address): Promise<ChainView> {
  const reader = createPublicClient({ transport: http(rpc, { timeout: 10_000 }) })
  const at = { address: settlement, abi: SETTLEMENT_ABI } as const
  return {
    domain: { chainId: await reader.getChainId(), verifyingContract: settlement },
    isHubKey: ({ x, y }) => reader.readContract({ ...at, functionName: 'isHubKey', args: [x, y] }),
    receiptRoot: (batchId) =>
      reader.readContract({ ...at, functionName: 'receiptRoot', args: [BigInt(batchId)] }),
    async postedBy(hash) {
      const receipt = await reader.getTransactionReceipt({ hash }).catch((error: unknown) => {
        if (error instanceof TransactionReceiptNotFoundError) return undefined
        throw error
      })
      if (receipt === undefined) return undefined
      const logs = receipt.logs.filter((log) => log.address === settlement.toLowerCase())
      const [log] = parseEventLogs({ abi: SETTLEMENT_ABI, eventName: 'BatchPosted', logs })
      if (log === undefined) return undefined
      const { batchId, receiptRoot, logRoot } = log.args
      const blockNumber = Number(receipt.blockNumber)
      return { batchId: Number(batchId), receiptRoot, logRoot, blockNumber }
    },
  }
}
