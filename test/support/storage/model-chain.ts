/** An in-memory model of the settlement contract and its chain, with nonces, a mempool, reverts and reorganisations. */
import { decodeFunctionData, keccak256, stringToHex, type Hex } from 'viem'
import type { Domain } from '#shared/proof/domain.ts'
import type { Address, Bytes32 } from '#shared/base/ids.ts'
import { EMPTY_ROOT } from '#shared/receipt/settlement.ts'
import { SETTLEMENT_ABI } from '#shared/receipt/settlement-abi.ts'
import type { PublicKey } from '#shared/proof/signature.ts'
import type {
  ConsumerAccount,
  LedgerChain,
  TransactionOptions,
} from '#worker/ledger/chain/chain.ts'

interface Pooled extends TransactionOptions {
  readonly hash: Bytes32
}

interface Mined extends Pooled {
  readonly isReverted: boolean
  readonly blockNumber: number
}

interface PostedBatch {
  readonly receiptRoot: Bytes32
  readonly receiptCount: number
  readonly logRoot: Bytes32
  readonly earningsRoot: Bytes32
  readonly earned: bigint
}

export interface ModelChain extends LedgerChain {
  readonly posted: PostedBatch[]
  readonly accounts: Map<Address, { balance: bigint; limit: bigint }>
  readonly hubs: Set<string>
  readonly poolSize: () => number
  readonly pooled: () => readonly TransactionOptions[]
  /** Mines all that can be mined from the pool, in order of nonce. */
  mine(): void
  /** Mines empty blocks. */
  mineEmpty(count: number): void
  /** Reverts the newest blocks. @param repool whether their transactions return to the pool */
  reorganise(blocks: number, repool: boolean): void
  /** Forgets the pool, as endpoints do. */
  forgetPool(): void
}

interface State {
  readonly batches: PostedBatch[]
  readonly balances: Map<Address, bigint>
  readonly mined: Mined[]
  readonly nonce: number
}

export function createModelChain(domain: Domain): ModelChain {
  const accounts: ModelChain['accounts'] = new Map()
  const hubs = new Set<string>()
  const signed = new Map<Hex, Pooled>()
  const pool = new Map<Bytes32, Pooled>()
  const posted: PostedBatch[] = []
  const mined: Mined[] = []
  const history: State[] = []
  let head = 0
  let nonce = 0

  const keep = () => {
    const balances = new Map([...accounts].map(([address, { balance }]) => [address, balance]))
    history[head] = { batches: [...posted], balances, mined: [...mined], nonce }
  }
  keep()

  /** Models `postBatch`: the reason of a revert, or the change. */
  const execute = (calldata: Hex): { revert: string } | { apply: () => void } => {
    const call = decodeFunctionData({ abi: SETTLEMENT_ABI, data: calldata })
    if (call.functionName !== 'postBatch') return { revert: 'no such function' }
    const [
      expectedId,
      parentRoot,
      receiptRoot,
      receiptCount,
      logRoot,
      earningsRoot,
      earned,
      policies,
      charges,
    ] = call.args
    if (Number(expectedId) !== posted.length + 1) return { revert: 'UnexpectedBatch' }
    if (parentRoot !== (posted.at(-1)?.receiptRoot ?? EMPTY_ROOT))
      return { revert: 'UnexpectedParent' }
    for (const { policy, countriesUsed } of policies)
      if ((countriesUsed & ~policy.compute) !== 0n) return { revert: 'ResidencyUnsatisfiable' }
    let sum = 0n
    for (const { consumer, amountMicroUsd } of charges) {
      const account = accounts.get(consumer.toLowerCase() as Address)
      const available = account === undefined ? 0n : min(account.balance, account.limit)
      if (amountMicroUsd > available) return { revert: 'PaymentRequired' }
      sum += amountMicroUsd
    }
    if (sum !== earned) return { revert: 'ChargesDiffer' }
    const apply = () => {
      for (const { consumer, amountMicroUsd } of charges) {
        const account = accounts.get(consumer.toLowerCase() as Address)
        if (account) account.balance -= amountMicroUsd
      }
      posted.push({ receiptRoot, receiptCount, logRoot, earningsRoot, earned })
    }
    return { apply }
  }

  const mineNext = (): boolean => {
    const best = [...pool.values()]
      .filter((transaction) => transaction.nonce === nonce)
      .toSorted((a, b) => (a.maxFeePerGas > b.maxFeePerGas ? -1 : 1))[0]
    if (best === undefined) return false
    for (const [hash, { nonce: of }] of pool) if (of <= nonce) pool.delete(hash)
    const result = execute(best.calldata)
    head += 1
    nonce += 1
    if ('apply' in result) result.apply()
    mined.push({ ...best, isReverted: 'revert' in result, blockNumber: head })
    keep()
    return true
  }

  return {
    domain,
    posted,
    accounts,
    hubs,
    poolSize: () => pool.size,
    pooled: () => [...pool.values()],
    look: async () => ({ balanceWei: 10n ** 18n, fault: null }),
    position: async () => ({
      nextBatchId: posted.length + 1,
      headNumber: head,
      transactionCount: nonce,
    }),
    isHubKey: async ({ x }: PublicKey) => hubs.has(x),
    async account(consumer): Promise<ConsumerAccount> {
      const { balance, limit } = accounts.get(consumer) ?? { balance: 0n, limit: 0n }
      return { balanceMicroUsd: balance, batchLimitMicroUsd: limit }
    },
    receiptRoot: async (id) => posted[id - 1]?.receiptRoot ?? `0x${'0'.repeat(64)}`,
    async estimate(calldata) {
      const result = execute(calldata)
      return 'revert' in result ? result : { gas: 100_000n }
    },
    fees: async () => ({ maxFeePerGas: 100n, maxPriorityFeePerGas: 1n }),
    async sign(options) {
      const raw = stringToHex(
        JSON.stringify(options, (_, value: unknown) =>
          typeof value === 'bigint' ? value.toString() : value,
        ),
      )
      const hash = keccak256(raw)
      signed.set(raw, { ...options, hash })
      return { raw, hash }
    },
    async broadcast({ raw }) {
      const transaction = signed.get(raw)
      if (transaction === undefined) return 'not a transaction'
      if (transaction.nonce < nonce) return 'nonce too low'
      const rival = [...pool.values()].find((other) => other.nonce === transaction.nonce)
      if (rival && rival.hash !== transaction.hash) {
        if (transaction.maxFeePerGas * 10n < rival.maxFeePerGas * 11n) return 'underpriced'
        pool.delete(rival.hash)
      }
      pool.set(transaction.hash, transaction)
      return null
    },
    async fate(hash) {
      const found = mined.find((transaction) => transaction.hash === hash)
      if (found) {
        const { isReverted, blockNumber } = found
        return { kind: 'mined', isReverted, blockNumber }
      }
      return { kind: pool.has(hash) ? 'waiting' : 'unknown' }
    },
    mine() {
      while (mineNext());
    },
    mineEmpty(count) {
      for (let i = 0; i < count; i += 1) {
        head += 1
        keep()
      }
    },
    reorganise(blocks, repool) {
      const state = history[Math.max(0, head - blocks)]
      if (state === undefined) throw new Error('no such block')
      const lost = mined.slice(state.mined.length)
      head = Math.max(0, head - blocks)
      nonce = state.nonce
      posted.splice(0, posted.length, ...state.batches)
      mined.splice(0, mined.length, ...state.mined)
      for (const [address, balance] of state.balances) {
        const account = accounts.get(address)
        if (account) account.balance = balance
      }
      if (repool) for (const transaction of lost) pool.set(transaction.hash, transaction)
    },
    forgetPool: () => pool.clear(),
  }
}

function min(a: bigint, b: bigint): bigint {
  return a < b ? a : b
}
