/** Reads the chain to check a receipt or to be paid. Needs no key and trusts only the endpoint that it asks. */
import {
  BaseError,
  createClient,
  decodeFunctionResult,
  encodeFunctionData,
  http,
  parseEventLogs,
  type Hex,
  type Log,
} from 'viem'
import { z } from 'zod'
import type { Domain } from '#shared/proof/domain.ts'
import { Address, Bytes32 } from '#shared/base/ids.ts'
import { SETTLEMENT_ABI } from '#shared/receipt/settlement-abi.ts'
import type { PublicKey } from '#shared/proof/signature.ts'

const TIMEOUT_MS = 10_000
const ANSWER_BYTES = 4 * 1024 * 1024
const abi = SETTLEMENT_ABI

export const PostedBatch = z.strictObject({
  batchId: z.int().min(1),
  receiptRoot: Bytes32,
  /** Number of receipts under that root. */
  receiptCount: z.int().min(1),
  /** Root over the checkpoints of its tenants' audit logs. */
  logRoot: Bytes32,
  blockNumber: z.int().min(0),
})
export type PostedBatch = Readonly<z.infer<typeof PostedBatch>>

export interface ChainView {
  readonly domain: Domain
  isHubKey(key: PublicKey): Promise<boolean>
  /** The root that the contract keeps for a batch; zero when there is none. */
  receiptRoot(batchId: number): Promise<Bytes32>
  /** The batch that a transaction posted; undefined when it posted none. */
  postedBy(transactionHash: Bytes32): Promise<PostedBatch | undefined>
}

/** A chain that cannot be read: checks that need it stay open, for this reason. */
export interface UnreadChain {
  readonly domain: Domain
  readonly unread: string
  /** Keys of the hubs that answer now; a ticket under another key is refused. Null where nobody was asked. */
  readonly liveHubKeys: readonly PublicKey[] | null
}

export type ChainAccess = ChainView | UnreadChain | NoChain

export function isUnread(chain: object): chain is UnreadChain {
  return 'unread' in chain
}

/** No chain was given. Right for a deployment that settles on none, whose logs are its one root. */
export interface NoChain {
  readonly domain: null
  /** Keys of its hubs, where the verifier was told them; otherwise the log vouches for what they signed. */
  readonly hubKeys: readonly PublicKey[] | null
}

export function isNoChain(chain: object): chain is NoChain {
  return 'domain' in chain && chain.domain === null
}

/** The chain for a document of that domain. Leaving the chain out must not make a settled document pass. */
export function accessFor(chain: ChainAccess, domain: Domain | null): ChainAccess {
  if (!isNoChain(chain) || domain === null) return chain
  const unread = 'no chain was given, by --rpc and --settlement'
  return { domain, unread, liveHubKeys: chain.hubKeys }
}

/** Reads `settlement` through the JSON-RPC endpoint `rpc`. */
export async function createChainView(rpc: string, settlement: Address): Promise<ChainView> {
  const { request } = createClient({
    transport: http(rpc, {
      // viem would also retry errors that are final.
      retryCount: 0,
      timeout: TIMEOUT_MS,
      maxResponseBodySize: ANSWER_BYTES,
      fetchOptions: { credentials: 'omit' },
    }),
  })
  const read = (data: Hex): Promise<Hex> =>
    whenReady(() =>
      request({ method: 'eth_call', params: [{ to: settlement, data }, 'latest'] }),
    ).then((bytes) => HexText.parse(bytes))
  const chainId = Number(HexText.parse(await whenReady(() => request({ method: 'eth_chainId' }))))
  return {
    domain: { chainId, verifyingContract: settlement },
    async isHubKey({ x, y }) {
      const of = { abi, functionName: 'isHubKey' } as const
      return decodeFunctionResult({
        ...of,
        data: await read(encodeFunctionData({ ...of, args: [x, y] })),
      })
    },
    async receiptRoot(batchId) {
      const of = { abi, functionName: 'receiptRoot' } as const
      return decodeFunctionResult({
        ...of,
        data: await read(encodeFunctionData({ ...of, args: [BigInt(batchId)] })),
      })
    },
    async postedBy(hash) {
      const found = await whenReady(() =>
        request({ method: 'eth_getTransactionReceipt', params: [hash] }),
      )
      const receipt = Transaction.nullable().parse(found)
      if (receipt === null) return undefined
      const own = receipt.logs.filter(
        ({ address }) => address.toLowerCase() === settlement.toLowerCase(),
      )
      const logs = own as Pick<Log, 'address' | 'data'>[] as Log[]
      const [posted] = parseEventLogs({ abi, eventName: 'BatchPosted', logs })
      if (posted === undefined) return undefined
      const { batchId, receiptRoot, receiptCount, logRoot } = posted.args
      const blockNumber = Number(receipt.blockNumber)
      return { batchId: Number(batchId), receiptRoot, receiptCount, logRoot, blockNumber }
    },
  }
}

/** Asks the chain each question once; a bundle repeats the same ones for every job. */
export function rememberChain(chain: ChainView): ChainView {
  const answers = new Map<string, Promise<unknown>>()
  const once = <T>(name: string, ask: () => Promise<T>): Promise<T> => {
    const known = answers.get(name) as Promise<T> | undefined
    if (known !== undefined) return known
    const asked = ask()
    answers.set(name, asked)
    return asked
  }
  return {
    domain: chain.domain,
    isHubKey: (key) => once(`key ${key.x} ${key.y}`, () => chain.isHubKey(key)),
    receiptRoot: (id) => once(`root ${id}`, () => chain.receiptRoot(id)),
    postedBy: (hash) => once(`posted ${hash}`, () => chain.postedBy(hash)),
  }
}

const HexText = z.templateLiteral(['0x', z.string()])

const Transaction = z.object({
  blockNumber: HexText,
  logs: z.array(z.object({ address: Address, topics: z.array(HexText), data: HexText })),
})

/** A public endpoint may be busy for a moment. Any other refusal is final. */
const ATTEMPTS = 4
const RETRY_MS = 250
const BUSY_STATUSES: ReadonlySet<unknown> = new Set([429, 502, 503])

/** @throws {Error} in the endpoint's words where it answered an error */
async function whenReady<T>(ask: () => Promise<T>): Promise<T> {
  for (let attempt = 1; ; attempt += 1) {
    try {
      return await ask()
    } catch (error) {
      if (!(error instanceof BaseError)) throw error
      const refused = error.walk((cause) => cause instanceof Error && 'status' in cause)
      const isBusy = refused !== null && 'status' in refused && BUSY_STATUSES.has(refused.status)
      if (!isBusy || attempt === ATTEMPTS)
        throw new Error(error.details || error.shortMessage, { cause: error })
    }
    await new Promise((resolve) => setTimeout(resolve, RETRY_MS * attempt))
  }
}
