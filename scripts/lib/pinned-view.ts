/** What an auditor pinned of the chain and of the operator's keys: with it a bundle is checked without any connection. */
import { z } from 'zod'
import { Bytes32 } from '#shared/ids.ts'
import { DomainSchema } from '#shared/receipt.ts'
import { PublicKey } from '#shared/signature.ts'
import type { ChainView } from '#shared/verify/chain-view.ts'

const NO_ROOT: Bytes32 = `0x${'0'.repeat(64)}`

export const Pins = z.strictObject({
  domain: DomainSchema,
  hubKeys: z.array(PublicKey),
  logKeys: z.array(Bytes32),
  attesters: z.array(PublicKey).default([]),
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

export function createPinnedView({ domain, hubKeys, batches }: Pins): ChainView {
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
