/** The Ledger's access to the chain: a few reads, and one kind of transaction that it signs itself. */
import type { FaultCode } from '#shared/api/network.ts'
import {
  decodeErrorResult,
  decodeFunctionResult,
  encodeFunctionData,
  formatEther,
  isHex,
  keccak256,
  numberToHex,
  size,
  type Hex,
} from 'viem'
import { privateKeyToAccount } from 'viem/accounts'
import { z } from 'zod'
import type { Domain } from '#shared/proof/domain.ts'
import { Bytes32, type Address } from '#shared/base/ids.ts'
import { SETTLEMENT_ABI } from '#shared/receipt/settlement-abi.ts'
import type { PublicKey } from '#shared/proof/signature.ts'
import type { Fault } from '#worker/protocols/ledger-fault.ts'
import { createJsonRpc, type JsonRpc, type RpcError } from './json-rpc.ts'

/** The state of the contract and of the poster, read at one block. */
export interface Position {
  readonly nextBatchId: number
  readonly headNumber: number
  /** The poster's mined transactions, which is the nonce of its next one. */
  readonly transactionCount: number
}

export interface Fees {
  readonly maxFeePerGas: bigint
  readonly maxPriorityFeePerGas: bigint
}

export interface SignedTransaction {
  readonly raw: Hex
  readonly hash: Bytes32
}

/** The state of a transaction on the present chain. */
export type Fate =
  | { readonly kind: 'unknown' }
  | { readonly kind: 'waiting' }
  | { readonly kind: 'mined'; readonly isReverted: boolean; readonly blockNumber: number }

export interface TransactionOptions extends Fees {
  readonly calldata: Hex
  readonly nonce: number
  readonly gas: bigint
}

export interface ConsumerAccount {
  readonly balanceMicroUsd: bigint
  readonly batchLimitMicroUsd: bigint
}

/** Ability to post a batch now. */
export interface Outlook {
  /** The poster's balance for fees; null when it is unknown. */
  readonly balanceWei: bigint | null
  readonly fault: Fault | null
}

export interface LedgerChain {
  readonly domain: Domain
  /** @throws {AppError} node_timeout or node_lost when the endpoint cannot be reached */
  look(): Promise<Outlook>
  position(): Promise<Position>
  isHubKey(key: PublicKey): Promise<boolean>
  account(consumer: Address): Promise<ConsumerAccount>
  receiptRoot(batchId: number): Promise<Bytes32>
  /** The gas that the call would use now, or the contract's error in words. */
  estimate(calldata: Hex): Promise<{ readonly gas: bigint } | { readonly revert: string }>
  fees(): Promise<Fees>
  sign(options: TransactionOptions): Promise<SignedTransaction>
  /** @returns null when the endpoint took it, else its reason */
  broadcast(transaction: SignedTransaction): Promise<string | null>
  fate(hash: Bytes32): Promise<Fate>
}

export interface LedgerChainOptions {
  readonly rpc: string
  readonly chainId: number
  readonly settlement: Address
  readonly posterKey: Hex
}

/** A readiness check must not wait as long as a posting. */
const LOOK_TIMEOUT_MS = 2_000
/** A poster that cannot pay for this much gas is reported as broke. A batch of ten policies and consumers uses half of it. */
const RESERVE_GAS = 1_000_000n

const HexBytes = z.custom<Hex>(isHex)
const Quantity = z.string().regex(/^0x[0-9a-f]+$/i)
const Count = Quantity.transform(Number)
const Amount = Quantity.transform(BigInt)
const Block = z.object({ number: Count, hash: Bytes32, baseFeePerGas: Amount.optional() })
const TransactionReceipt = z.object({ blockNumber: Count, blockHash: Bytes32, status: Count })

export function createLedgerChain(options: LedgerChainOptions): LedgerChain {
  const { chainId, settlement } = options
  const rpc = createJsonRpc(options.rpc)
  const poster = privateKeyToAccount(options.posterKey)
  const views = createViews(async (data, block) =>
    HexBytes.parse(await rpc.request('eth_call', [{ to: settlement, data }, block ?? 'latest'])),
  )
  return {
    ...views,
    domain: { chainId, verifyingContract: settlement },
    look: () => look(createJsonRpc(options.rpc, LOOK_TIMEOUT_MS), options, poster.address),
    async position() {
      const { number } = Block.parse(await rpc.request('eth_getBlockByNumber', ['latest', false]))
      const at = numberToHex(number)
      const [next, count] = await Promise.all([
        views.nextBatchId(at),
        rpc.request('eth_getTransactionCount', [poster.address, at]),
      ])
      return { nextBatchId: next, headNumber: number, transactionCount: Count.parse(count) }
    },
    async estimate(data) {
      const call = { from: poster.address, to: settlement, data }
      const { error, result } = await rpc.ask('eth_estimateGas', [call])
      return error ? { revert: revertWords(error) } : { gas: Amount.parse(result) }
    },
    fees: () => readFees(rpc),
    async sign({ calldata, ...fields }) {
      const transaction = { type: 'eip1559', chainId, to: settlement, data: calldata } as const
      const raw = await poster.signTransaction({ ...transaction, ...fields })
      return { raw, hash: keccak256(raw) }
    },
    async broadcast({ raw }) {
      const { error } = await rpc.ask('eth_sendRawTransaction', [raw])
      return error?.message ?? null
    },
    fate: (hash) => readFate(rpc, hash),
  }
}

async function readFees(rpc: JsonRpc): Promise<Fees> {
  const [block, tip] = await Promise.all([
    rpc.request('eth_getBlockByNumber', ['latest', false]),
    rpc.request('eth_maxPriorityFeePerGas', []),
  ])
  const maxPriorityFeePerGas = Amount.parse(tip)
  const baseFee = Block.parse(block).baseFeePerGas ?? 0n
  return { maxPriorityFeePerGas, maxFeePerGas: baseFee * 2n + maxPriorityFeePerGas }
}

/** Checks in the order of repair: on another chain the contract is missing too. */
async function look(
  rpc: JsonRpc,
  { chainId, settlement }: LedgerChainOptions,
  poster: Address,
): Promise<Outlook> {
  const balanceWei = Amount.parse(await rpc.request('eth_getBalance', [poster, 'latest']))
  const found = (code: FaultCode, detail: string): Outlook => ({
    balanceWei,
    fault: { code, detail },
  })
  const actual = Count.parse(await rpc.request('eth_chainId', []))
  if (actual !== chainId)
    return found('chain.other', `CHAIN_ID is ${chainId}, and the endpoint is of chain ${actual}.`)
  if ((await rpc.request('eth_getCode', [settlement, 'latest'])) === '0x')
    return found('contract.missing', `Chain ${chainId} has no contract at ${settlement}.`)
  if (!(await isPoster(rpc, settlement, poster)))
    return found('poster.unknown', `Contract ${settlement} accepts no batches from ${poster}.`)
  const neededWei = RESERVE_GAS * (await readFees(rpc)).maxFeePerGas
  if (balanceWei < neededWei)
    return found(
      'poster.broke',
      `The poster ${poster} has ${formatEther(balanceWei)} ETH; a batch may cost ${formatEther(neededWei)}.`,
    )
  return { balanceWei, fault: null }
}

/** False also for a contract that lacks this function: it is not ours. */
async function isPoster(rpc: JsonRpc, settlement: Address, poster: Address): Promise<boolean> {
  const call = { abi: SETTLEMENT_ABI, functionName: 'isPoster' } as const
  const data = encodeFunctionData({ ...call, args: [poster] })
  const { error, result } = await rpc.ask('eth_call', [{ to: settlement, data }, 'latest'])
  const word = error ? '0x' : HexBytes.parse(result)
  return size(word) === 32 && decodeFunctionResult({ ...call, data: word })
}

type Call = (data: Hex, block?: Hex) => Promise<Hex>

function createViews(call: Call) {
  const abi = SETTLEMENT_ABI
  return {
    async nextBatchId(block: Hex): Promise<number> {
      const functionName = 'nextBatchId'
      const data = await call(encodeFunctionData({ abi, functionName }), block)
      return Number(decodeFunctionResult({ abi, functionName, data }))
    },
    async isHubKey({ x, y }: PublicKey): Promise<boolean> {
      const functionName = 'isHubKey'
      const data = await call(encodeFunctionData({ abi, functionName, args: [x, y] }))
      return decodeFunctionResult({ abi, functionName, data })
    },
    async account(consumer: Address): Promise<ConsumerAccount> {
      const functionName = 'account'
      const data = await call(encodeFunctionData({ abi, functionName, args: [consumer] }))
      const [balanceMicroUsd, batchLimitMicroUsd] = decodeFunctionResult({
        abi,
        functionName,
        data,
      })
      return { balanceMicroUsd, batchLimitMicroUsd }
    },
    async receiptRoot(batchId: number): Promise<Bytes32> {
      const functionName = 'receiptRoot'
      const data = await call(encodeFunctionData({ abi, functionName, args: [BigInt(batchId)] }))
      return decodeFunctionResult({ abi, functionName, data })
    },
  }
}

async function readFate(rpc: JsonRpc, hash: Bytes32): Promise<Fate> {
  const found = await rpc.request('eth_getTransactionReceipt', [hash])
  if (found === null) {
    const known = await rpc.request('eth_getTransactionByHash', [hash])
    return { kind: known === null ? 'unknown' : 'waiting' }
  }
  const { blockNumber, blockHash, status } = TransactionReceipt.parse(found)
  const block = await rpc.request('eth_getBlockByNumber', [numberToHex(blockNumber), false])
  // An endpoint may still know a receipt of a block that has left the chain.
  if (Block.nullable().parse(block)?.hash !== blockHash) return { kind: 'waiting' }
  return { kind: 'mined', isReverted: status === 0, blockNumber }
}

function revertWords(error: RpcError): string {
  if (!isHex(error.data) || error.data.length < 10) return error.message
  try {
    const { errorName, args } = decodeErrorResult({ abi: SETTLEMENT_ABI, data: error.data })
    return `${errorName}(${(args ?? []).map(String).join(', ')})`
  } catch {
    return error.message
  }
}
