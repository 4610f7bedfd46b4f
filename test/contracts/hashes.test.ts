import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { connect } from '#scripts/stack/chain.ts'
import type { Bytes32 } from '#shared/base/ids.ts'
import { PROVIDERS } from '#shared/job/job.ts'
import { policyHash } from '#shared/law/compile-policy.ts'
import {
  EVIDENCE_CLASSES,
  EVIDENCE_SOURCES,
  NODE_TRUSTS,
  OPERATOR_TENANT,
} from '#shared/law/policy.ts'
import type { Place } from '#shared/receipt/receipt.ts'
import { SETTLEMENT_ABI } from '#shared/receipt/settlement-abi.ts'
import { payoutDigest } from '#shared/receipt/settlement.ts'
import { policyArguments } from '#worker/ledger/intake/settlement-batch.ts'
import { policy as anyPolicy, TENANT } from '#test/support/hub/policies.ts'
import { receiptArguments } from '#test/support/storage/receipt-arguments.ts'
import { useSettlement } from '#test/support/storage/use-settlement.ts'

const on = useSettlement()

const at = () => ({ address: on.deployment.settlement, abi: SETTLEMENT_ABI }) as const

const bytes32 = fc
  .uint8Array({ minLength: 32, maxLength: 32 })
  .map((bytes): Bytes32 => `0x${Buffer.from(bytes).toString('hex')}`)

const place: fc.Arbitrary<Place> = fc.record({
  country: fc.nat(255),
  evidence: fc.constantFrom(...EVIDENCE_CLASSES),
  source: fc.constantFrom(...EVIDENCE_SOURCES),
  trust: fc.constantFrom(...NODE_TRUSTS),
  possible: bytes32,
  evidenceHash: bytes32,
  voucher: fc.constantFrom(null, TENANT, OPERATOR_TENANT),
})

/** Every length of text up to the longest, also with letters of several bytes. */
const hubName = fc.string({ unit: 'binary', maxLength: 63 })

describe('[S1] the contract computes the hash that TypeScript computes', () => {
  it('of any policy', async () => {
    const { reader } = connect(on.rpc)
    await fc.assert(
      fc.asyncProperty(anyPolicy, async (policy) => {
        const args = [policyArguments(policy)] as const
        const onChain = await reader.readContract({ ...at(), functionName: 'policyHash', args })
        expect(onChain).toBe(policyHash(policy))
      }),
      { numRuns: 25, seed: 1 },
    )
  })

  it('of any receipt, which is its id', async () => {
    const { reader } = connect(on.rpc)
    const wish = fc.record({
      attempt: fc.integer({ min: 1, max: 2 ** 32 - 1 }),
      units: fc.maxSafeNat(),
      priceMicroUsd: fc.nat(1_000_000),
      place,
      ticket: fc.record({ hub: hubName, allowed: bytes32 }),
      receipt: fc.record({
        outputCommitment: bytes32,
        provider: fc.constantFrom(...PROVIDERS),
      }),
    })
    await fc.assert(
      fc.asyncProperty(wish, async (wanted) => {
        const { id, receipt } = await on.maker.make(wanted)
        const args = [receiptArguments(receipt)] as const
        const onChain = await reader.readContract({ ...at(), functionName: 'receiptId', args })
        expect(onChain).toBe(id)
      }),
      { numRuns: 25, seed: 2 },
    )
  })

  it('of a payout, with the nonce that the contract holds', async () => {
    const { reader } = connect(on.rpc)
    const key = on.maker.hub.publicKey
    const to = '0x00000000000000000000000000000000DeaDBeef'
    const args = [key, to] as const
    const onChain = await reader.readContract({ ...at(), functionName: 'payoutDigest', args })
    expect(onChain).toBe(payoutDigest(on.maker.domain, { key, to, nonce: 0n }))
  })
})
