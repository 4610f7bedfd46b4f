import { expect, it } from 'vitest'
import { runOffer } from '#node-core/run-offer.ts'
import { timesFault } from '#shared/receipt/check-receipt.ts'
import { receiptOf } from '#shared/receipt/receipt.ts'
import { compiled } from '#test/support/hub/policies.ts'
import { DOMAIN, INVERT, kernelRequest } from '#test/support/hub/hub.ts'
import { createReceiptMaker } from '#test/support/hub/receipts.ts'

const EU = compiled({ compute: { allow: ['EU'], deny: [] } })
const PAYLOAD = new Uint8Array([1, 2, 3, 4])

it.each([
  ['at 1970', 0],
  ['a minute ahead', Date.now() + 60_000],
  ['in the year 3000', 32_503_680_000_000],
])(
  'a node whose clock is %s counts from its ticket, and gives times that the hub takes',
  async (_when, clockMs) => {
    const maker = await createReceiptMaker(DOMAIN)
    const { receipt: made, policy } = await maker.make()
    const { ticket } = made
    const { work } = await kernelRequest(EU, PAYLOAD)
    let now = clockMs
    const offer = { ticket, policy, work, salt: ticket.workDigest, traceparent: null }
    const ran = await runOffer(offer, PAYLOAD, {
      engine: INVERT,
      now: () => (now += 7),
      takenAtMs: clockMs,
      signal: new AbortController().signal,
      emit: async () => {},
    })
    const receipt = receiptOf(ticket, made.receiptKey, ran.work)
    expect(timesFault(receipt, ticket.issuedAtMs + 100)).toBeUndefined()
    expect(receipt.startedAtMs).toBe(ticket.issuedAtMs + 7)
  },
)
