import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { connect } from '#scripts/stack/chain.ts'
import { typedDigest } from '#shared/proof/domain.ts'
import { nameHash, type Bytes32 } from '#shared/base/ids.ts'
import { PROVIDERS } from '#shared/job/job.ts'
import { policyHash } from '#shared/law/compile-policy.ts'
import {
  EVIDENCE_CLASSES,
  EVIDENCE_SOURCES,
  NODE_TRUSTS,
  OPERATOR_TENANT,
} from '#shared/law/policy.ts'
import {
  receiptHash,
  ticketHash,
  VERIFICATIONS,
  voucherHash,
  type Place,
  type SignedReceipt,
  type Ticket,
} from '#shared/receipt/receipt.ts'
import { SETTLEMENT_ABI } from '#shared/receipt/settlement-abi.ts'
import { payoutHash } from '#shared/receipt/settlement.ts'
import { policyWords } from '#worker/ledger/intake/settlement-batch.ts'
import { policy as anyPolicy, TENANT } from '#test/support/hub/policies.ts'
import { useSettlement } from '#test/support/storage/use-settlement.ts'

const on = useSettlement()

const at = () => ({ address: on.deployment.settlement, abi: SETTLEMENT_ABI }) as const

function placeWords({ country, evidence, source, trust }: Place) {
  return {
    country,
    evidence: EVIDENCE_CLASSES.indexOf(evidence),
    source: EVIDENCE_SOURCES.indexOf(source),
    trust: NODE_TRUSTS.indexOf(trust),
  }
}

/** Fields that ticket and receipt share. */
function sharedWords(ticket: Ticket) {
  return {
    jobId: nameHash(ticket.jobId),
    attempt: ticket.attempt,
    node: nameHash(ticket.nodeId),
    tenant: nameHash(ticket.tenant),
    policyHash: ticket.policyHash,
    ...placeWords(ticket.place),
    workDigest: ticket.workDigest,
    inputCommitment: ticket.inputCommitment,
    priceMicroUsd: BigInt(ticket.priceMicroUsd),
  }
}

function ticketWords(ticket: Ticket) {
  return {
    ...sharedWords(ticket),
    hub: nameHash(ticket.hub),
    allowed: BigInt(ticket.allowed),
    possible: BigInt(ticket.place.possible),
    evidenceHash: ticket.place.evidenceHash,
    voucher: voucherHash(ticket.place.voucher),
    units: BigInt(ticket.units),
    issuedAtMs: BigInt(ticket.issuedAtMs),
    expiresAtMs: BigInt(ticket.expiresAtMs),
  }
}

function receiptWords({ receipt }: SignedReceipt) {
  const { ticket } = receipt
  return {
    ...sharedWords(ticket),
    ticketHash: ticketHash(ticket),
    receiptKeyX: receipt.receiptKey.x,
    receiptKeyY: receipt.receiptKey.y,
    outputCommitment: receipt.outputCommitment,
    units: BigInt(receipt.units),
    amountMicroUsd: BigInt(receipt.amountMicroUsd),
    startedAtMs: BigInt(receipt.startedAtMs),
    finishedAtMs: BigInt(receipt.finishedAtMs),
    provider: PROVIDERS.indexOf(receipt.provider),
    verification: VERIFICATIONS.indexOf(receipt.verification),
  }
}

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

describe('[S1] the contract computes the hash that TypeScript computes', () => {
  it('of any policy', async () => {
    const { reader } = connect(on.rpc)
    await fc.assert(
      fc.asyncProperty(anyPolicy, async (policy) => {
        const args = [policyWords(policy)] as const
        const onChain = await reader.readContract({ ...at(), functionName: 'policyHash', args })
        expect(onChain).toBe(policyHash(policy))
      }),
      { numRuns: 25, seed: 1 },
    )
  })

  it('of any ticket and receipt', async () => {
    const { reader } = connect(on.rpc)
    const wish = fc.record({
      attempt: fc.integer({ min: 1, max: 1_000 }),
      units: fc.nat(1_000_000),
      priceMicroUsd: fc.nat(1_000_000),
      place,
      receipt: fc.record({
        outputCommitment: bytes32,
        provider: fc.constantFrom(...PROVIDERS),
        verification: fc.constantFrom(...VERIFICATIONS),
      }),
    })
    await fc.assert(
      fc.asyncProperty(wish, async (wanted) => {
        const signed = await on.maker.make(wanted)
        const { ticket } = signed.receipt
        const ticketDigest = await reader.readContract({
          ...at(),
          functionName: 'ticketDigest',
          args: [ticketWords(ticket)],
        })
        expect(ticketDigest).toBe(typedDigest(on.maker.domain, ticketHash(ticket)))
        const [id, digest] = await reader.readContract({
          ...at(),
          functionName: 'receiptDigest',
          args: [receiptWords(signed)],
        })
        expect(id).toBe(receiptHash(signed.receipt))
        expect(digest).toBe(typedDigest(on.maker.domain, signed.id))
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
    expect(onChain).toBe(typedDigest(on.maker.domain, payoutHash(key, to, 0n)))
  })
})
