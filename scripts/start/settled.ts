/** Waits until a receipt is settled, and fetches what its node has earned. */
import type { z } from 'zod'
import { EarningsReply } from '#shared/api/network.ts'
import { ReceiptDocument } from '#shared/receipt/receipt.ts'
import type { PublicKey } from '#shared/proof/signature.ts'
import { AppError } from '#shared/base/errors.ts'
import { callApi } from '#scripts/stack/operator.ts'

const POLL_MS = 250
const SETTLE_TIMEOUT_MS = 60_000

interface Client {
  readonly url: string
  readonly apiKey: string
}

/** @throws {AppError} internal when settlement refuses it, node_timeout when it is not settled within a minute */
export async function untilSettled(
  { url, apiKey }: Client,
  receiptId: string,
): Promise<ReceiptDocument> {
  const deadline = Date.now() + SETTLE_TIMEOUT_MS
  for (;;) {
    const answer = await callApi({
      url,
      key: apiKey,
      method: 'GET',
      path: `/v1/receipts/${receiptId}`,
    })
    const document = ReceiptDocument.parse(answer)
    if (document.status === 'settled') return document
    if (document.status === 'refused')
      throw new AppError('internal', `Settlement refused ${receiptId}: ${document.refusal}`)
    if (Date.now() > deadline)
      throw new AppError(
        'node_timeout',
        `${receiptId} is not settled after ${SETTLE_TIMEOUT_MS} ms.`,
      )
    await new Promise((resolve) => setTimeout(resolve, POLL_MS))
  }
}

export async function fetchEarnings(
  { url, apiKey }: Client,
  key: PublicKey,
): Promise<z.infer<typeof EarningsReply>> {
  const answer = await callApi({
    url,
    key: apiKey,
    method: 'GET',
    path: `/v1/earnings?x=${key.x}&y=${key.y}`,
  })
  return EarningsReply.parse(answer)
}
