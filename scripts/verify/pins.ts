/** What an auditor pinned of the chain, the logs and the operator's keys, to check bundles offline. */
import { z } from 'zod'
import type { BundledJob } from '#shared/audit/bundle.ts'
import { LogHead } from '#shared/audit/checkpoint.ts'
import { Bytes32, ZERO_BYTES32 } from '#shared/base/ids.ts'
import { Domain } from '#shared/proof/domain.ts'
import { PublicKey } from '#shared/proof/signature.ts'
import { isNoChain, isUnread, PostedBatch, type ChainAccess } from '#shared/verify/chain-view.ts'
import type { BundleTrust } from '#shared/verify/trust.ts'

export const Pins = z.strictObject({
  /** Null where the deployment settles on no chain. */
  domain: Domain.nullable(),
  hubKeys: z.array(PublicKey),
  logKeys: z.array(Bytes32),
  attesters: z.array(PublicKey).default([]),
  /** Known states of logs, which later bundles must continue. */
  heads: z.array(LogHead).default([]),
  batches: z.array(PostedBatch.extend({ transactionHash: Bytes32 })),
})
export type Pins = z.infer<typeof Pins>

export function createPinnedView({ domain, hubKeys, batches }: Pins): ChainAccess {
  if (domain === null) return { domain, hubKeys: hubKeys.length === 0 ? null : hubKeys }
  return {
    domain,
    isHubKey: async ({ x, y }) => hubKeys.some((key) => key.x === x && key.y === y),
    receiptRoot: async (id) =>
      batches.find(({ batchId }) => batchId === id)?.receiptRoot ?? ZERO_BYTES32,
    async postedBy(hash) {
      const found = batches.find(({ transactionHash }) => transactionHash === hash)
      if (found === undefined) return undefined
      const { transactionHash: _, ...posted } = found
      return posted
    },
  }
}

/** Gathers what jobs name of the chain, and pins what the chain confirms. */
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

    /** Takes a head of a bundle that passed. */
    head: (head: LogHead): void => void heads.push(head),

    async pins(): Promise<Pins> {
      const own = { logKeys: [...(logKeys ?? [])], attesters: [...(attesters ?? [])], heads }
      if (isNoChain(chain))
        return { ...own, domain: null, hubKeys: [...(chain.hubKeys ?? [])], batches: [] }
      if (isUnread(chain)) return { ...own, domain: null, hubKeys: [], batches: [] }
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
