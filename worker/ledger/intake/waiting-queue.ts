/** The receipts that wait for a batch: whose turn it is, and who is put off for a while. */
import { domainName, type Domain } from '#shared/proof/domain.ts'
import type { Address, Bytes32 } from '#shared/base/ids.ts'
import type { PublicKey } from '#shared/proof/signature.ts'
import { toKey, type WaitingReceipt } from './settlement-batch.ts'
import type { Row } from '#worker/platform/storage.ts'
import type { Rows } from './database.ts'

/** Consumers in one settlement batch. */
const BATCH_CONSUMERS = 64

export type WaitingQueue = ReturnType<typeof createWaitingQueue>

export function createWaitingQueue(rows: Rows) {
  return {
    /** Receipts for another chain or contract may have come before this one was configured. They cannot be paid here. */
    refuseOtherDomains(domain: Domain): void {
      rows(
        `UPDATE receipts SET state = 'refused', refusal = 'receipt.domain'
          WHERE state = 'pending' AND batch_id IS NULL AND domain <> ?`,
        domainName(domain),
      )
    },

    isEmpty(): boolean {
      const waiting = "state = 'pending' AND batch_id IS NULL"
      return rows(`SELECT 1 FROM receipts WHERE ${waiting} LIMIT 1`).length === 0
    },

    hubsToCheck(nowMs: number): PublicKey[] {
      return rows(
        `SELECT DISTINCT hub FROM receipts WHERE state = 'pending' AND batch_id IS NULL
          AND hub NOT IN (SELECT name FROM waiting_for WHERE until_ms > ?)`,
        nowMs,
      ).map((row) => toKey(String(row['hub'])))
    },

    /** Consumers with receipts to pay who are not put off; the longest waiting first. */
    consumersToCharge(nowMs: number): Address[] {
      return rows(
        `SELECT consumer, MIN(sequence) AS first FROM receipts
          WHERE state = 'pending' AND batch_id IS NULL AND consumer IS NOT NULL
            AND consumer NOT IN (SELECT name FROM waiting_for WHERE until_ms > ?)
          GROUP BY consumer ORDER BY first LIMIT ?`,
        nowMs,
        BATCH_CONSUMERS,
      ).map((row) => row['consumer'] as Address)
    },

    /** A consumer's waiting receipts from hubs that are not put off, oldest first. */
    receiptsOf(consumer: Address, nowMs: number, limit: number): WaitingReceipt[] {
      return rows(
        `SELECT id, key, consumer, amount, policy_hash, country FROM receipts
          WHERE state = 'pending' AND batch_id IS NULL AND consumer = ?
            AND hub NOT IN (SELECT name FROM waiting_for WHERE until_ms > ?)
          ORDER BY sequence LIMIT ?`,
        consumer,
        nowMs,
        limit,
      ).map(toWaitingReceipt)
    },

    putOff(name: string, untilMs: number): void {
      rows('INSERT OR REPLACE INTO waiting_for (name, until_ms) VALUES (?, ?)', name, untilMs)
    },
  }
}

function toWaitingReceipt(row: Row): WaitingReceipt {
  return {
    id: row['id'] as Bytes32,
    key: toKey(String(row['key'])),
    consumer: row['consumer'] as Address,
    amountMicroUsd: BigInt(String(row['amount'])),
    policyHash: row['policy_hash'] as Bytes32,
    country: Number(row['country']),
  }
}
