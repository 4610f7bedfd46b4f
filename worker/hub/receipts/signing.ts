/** Signs receipts after their nodes, and keeps them: one signature and one write for all that are ready together. */
import type { Domain } from '#shared/proof/domain.ts'
import { createGroup } from '#shared/proof/group.ts'
import type { Signer } from '#shared/proof/signature.ts'
import { signLeaves } from '#shared/proof/tree-signature.ts'
import { systemClock, type Clock } from '#p2p/stream/clock.ts'
import { invariant } from '#shared/base/errors.ts'
import type { KeptReceipt, Outbox } from './outbox.ts'

export type UnsignedReceipt = Omit<KeptReceipt, 'hubSignature'>

export interface ReceiptSigning {
  /**
   * A node gets a job now, whose receipt may join a group. @returns to call once when it has ended
   * @throws {AppError} no_capacity while there is no room for another receipt
   */
  begin(): () => void
  /** Number of jobs that nodes have now. */
  running(): number
  /** Number of receipts that wait for their delivery. */
  waiting(): number
  /** Resolves once the receipt is signed and durable. */
  keep(receipt: UnsignedReceipt): Promise<void>
}

export interface SigningDeps {
  readonly signer: Signer
  readonly domain: Domain
  readonly outbox: Pick<Outbox, 'put' | 'size' | 'checkRoom'>
  /** Called when the outbox has something new. */
  readonly onReceipts: () => void
  /** @default systemClock */
  readonly clock?: Clock | undefined
}

export function createReceiptSigning(deps: SigningDeps): ReceiptSigning {
  const { signer, domain, outbox, onReceipts, clock = systemClock } = deps
  let count = 0
  const group = createGroup<UnsignedReceipt, void>({
    running: () => count,
    after: (ms, call) => clock.after(ms, call),
    async take(receipts) {
      const leaves = receipts.map(({ id }) => id)
      const signatures = await signLeaves(leaves, { by: 'hub', domain, signer })
      const signed = receipts.map((receipt, index): KeptReceipt => {
        const hubSignature = signatures[index]
        invariant(hubSignature, 'each leaf has its signature')
        return { ...receipt, hubSignature }
      })
      outbox.put(signer.publicKey, signed)
      onReceipts()
      return receipts.map(() => undefined)
    },
  })
  return {
    begin() {
      outbox.checkRoom()
      count += 1
      return () => {
        count -= 1
        group.left()
      }
    },
    running: () => count,
    waiting: () => outbox.size(),
    keep: (receipt) => group.add(receipt),
  }
}
