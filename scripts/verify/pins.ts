/** What an auditor pinned of the chain, the logs and the operator's keys: with it a bundle is checked without any connection. */
import { z } from 'zod'
import type { BundledJob } from '#shared/audit/bundle.ts'
import type { LogHead } from '#shared/audit/checkpoint.ts'
import { Bytes32 } from '#shared/base/ids.ts'
import { DomainSchema } from '#shared/receipt/receipt.ts'
import { PublicKey } from '#shared/base/signature.ts'
import { isNoChain, isUnread, type ChainAccess } from '#shared/verify/chain-view.ts'
import type { BundleTrust } from '#shared/verify/trust.ts'

const NO_ROOT: Bytes32 = `0x${'0'.repeat(64)}`

export const Pins = z.strictObject({
  /** Null where the deployment settles on no chain. */
  domain: DomainSchema.nullable(),
  hubKeys: z.array(PublicKey),
  logKeys: z.array(Bytes32),
  attesters: z.array(PublicKey).default([]),
  /** Logs as they were seen: later bundles have to go on from them. */
  heads: z
    .array(z.strictObject({ origin: z.string(), size: z.int().min(0), root: Bytes32 }))
    .default([]),
  batches: z.array(
    z.strictObject({
      batchId: z.int().min(1),
      receiptRoot: Bytes32,
      logRoot: Bytes32,
      transactionHash: Bytes32,
      blockNumber: z.int().min(0),
    }),
  ),
})
export type Pins = z.infer<typeof Pins>

export function createPinnedView({ domain, hubKeys, batches }: Pins): ChainAccess {
  if (domain === null) return { domain, hubKeys: hubKeys.length === 0 ? null : hubKeys }
  return {
    domain,
    isHubKey: async ({ x, y }) => hubKeys.some((key) => key.x === x && key.y === y),
    receiptRoot: async (id) =>
      batches.find(({ batchId }) => batchId === id)?.receiptRoot ?? NO_ROOT,
    async postedBy(hash) {
      const found = batches.find(({ transactionHash }) => transactionHash === hash)
      if (found === undefined) return undefined
      const { transactionHash: _, ...posted } = found
      return posted
    },
  }
}

/** Gathers what jobs name of the chain, and pins what the chain itself confirms of it. */
export function createPinner({ chain, logKeys, attesters }: BundleTrust) {
  const keys = new Map<string, PublicKey>()
  const transactions = new Set<Bytes32>()
  const heads: LogHead[] = []
  const addKey = (key: PublicKey): void => void keys.set(`${key.x}${key.y}`, key)
  return {
    job({ receipt, evidence, settlement }: BundledJob): void {
      addKey(receipt.hubKey)
      for (const { anchorKey } of evidence?.echoes ?? []) addKey(anchorKey)
      if (settlement !== null) transactions.add(settlement.transactionHash)
    },

    /** Of a bundle that holds. */
    head: (head: LogHead): void => void heads.push(head),

    async pins(): Promise<Pins> {
      const own = { logKeys: [...(logKeys ?? [])], attesters: [...(attesters ?? [])], heads }
      if (isNoChain(chain) || isUnread(chain))
        return { ...own, domain: null, hubKeys: hubKeysOf(chain), batches: [] }
      const hubKeys: PublicKey[] = []
      for (const key of keys.values()) if (await chain.isHubKey(key)) hubKeys.push(key)
      const batches: Pins['batches'] = []
      for (const transactionHash of transactions) {
        const batch = await chain.postedBy(transactionHash)
        if (batch !== undefined) batches.push({ ...batch, transactionHash })
      }
      return { ...own, domain: chain.domain, hubKeys, batches }
    },
  }
}

function hubKeysOf(chain: ChainAccess): PublicKey[] {
  return isNoChain(chain) ? [...(chain.hubKeys ?? [])] : []
}
