/** The Ledger's receipts: what a batch and a payout need, without payload, salt or signature. */
import { domainSeparator } from '#shared/proof/domain.ts'
import type { Address, Bytes32 } from '#shared/base/ids.ts'
import { CompiledPolicy } from '#shared/law/policy.ts'
import type { SignedReceipt } from '#shared/receipt/receipt.ts'
import type { PublicKey } from '#shared/proof/signature.ts'
import { keyName } from './settlement-batch.ts'
import type { Row } from '#worker/platform/storage.ts'
import type { Rows } from './database.ts'
import type { ReceiptState } from '#worker/protocols/ledger.ts'

export interface KeptReceipt {
  readonly id: Bytes32
  readonly state: ReceiptState
  readonly refusal: string | null
  readonly batchId: number | null
}

export type ReceiptStore = ReturnType<typeof createReceiptStore>

export function createReceiptStore(rows: Rows) {
  return {
    find(id: Bytes32): KeptReceipt | undefined {
      const [row] = rows('SELECT id, state, refusal, batch_id FROM receipts WHERE id = ?', id)
      return row === undefined ? undefined : toKept(row)
    },

    hasAccepted(jobId: string): boolean {
      const query = "SELECT 1 FROM receipts WHERE job_id = ? AND state <> 'refused'"
      return rows(query, jobId).length > 0
    },

    insert(signed: SignedReceipt, refusal: string | null): void {
      const { receipt, policy } = signed
      const { ticket } = receipt
      if (rows('SELECT 1 FROM policies WHERE hash = ?', policy.hash).length === 0) {
        const text = JSON.stringify(policy)
        rows('INSERT INTO policies (hash, policy) VALUES (?, ?)', policy.hash, text)
      }
      rows(
        `INSERT INTO receipts (id, job_id, attempt, tenant, consumer, key, amount, policy_hash, country, hub, domain,
          state, refusal) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)`,
        signed.id,
        ticket.jobId,
        ticket.attempt,
        ticket.tenant,
        consumerOf(rows, ticket.tenant),
        keyName(receipt.receiptKey),
        receipt.amountMicroUsd,
        ticket.policyHash,
        ticket.place.country,
        keyName(signed.hubKey),
        domainSeparator(signed.domain),
        refusal === null ? 'pending' : 'refused',
        refusal,
      )
    },

    /** A tenant's newest address pays for its receipts that came without one. */
    learnConsumer(tenant: string, consumer: Address): void {
      const address = consumer.toLowerCase()
      // Every receipt brings the address, and no receipt waits for a known one.
      if (consumerOf(rows, tenant) === address) return
      rows('INSERT OR REPLACE INTO consumers (tenant, address) VALUES (?, ?)', tenant, address)
      rows(
        `UPDATE receipts SET consumer = ?
          WHERE tenant = ? AND consumer IS NULL AND state = 'pending' AND batch_id IS NULL`,
        address,
        tenant,
      )
    },

    policy(hash: Bytes32): CompiledPolicy | undefined {
      const [row] = rows('SELECT policy FROM policies WHERE hash = ?', hash)
      if (row === undefined) return undefined
      return CompiledPolicy.parse(JSON.parse(String(row['policy'])))
    },

    pendingOf(key: PublicKey): bigint {
      const query = "SELECT amount FROM receipts WHERE key = ? AND state = 'pending'"
      return rows(query, keyName(key)).reduce((sum, row) => sum + BigInt(String(row['amount'])), 0n)
    },

    counts(): Record<ReceiptState, number> {
      const counted = { pending: 0, settled: 0, refused: 0 }
      for (const row of rows('SELECT state, COUNT(*) AS n FROM receipts GROUP BY state')) {
        counted[row['state'] as ReceiptState] = Number(row['n'])
      }
      return counted
    },
  }
}

function consumerOf(rows: Rows, tenant: string): string | null {
  const [row] = rows('SELECT address FROM consumers WHERE tenant = ?', tenant)
  return row === undefined ? null : String(row['address'])
}

function toKept(row: Row): KeptReceipt {
  return {
    id: row['id'] as Bytes32,
    state: row['state'] as ReceiptState,
    refusal: row['refusal'] as string | null,
    batchId: row['batch_id'] as number | null,
  }
}
