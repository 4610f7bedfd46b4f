/** The Ledger's receipts: what a batch and a payout need, without payload, salt or signature. */
import type { Address, Bytes32 } from '#shared/base/ids.ts'
import { CompiledPolicy } from '#shared/law/policy.ts'
import { domainName, type Domain } from '#shared/proof/domain.ts'
import type { PublicKey } from '#shared/proof/signature.ts'
import type { Receipt } from '#shared/receipt/receipt.ts'
import type { Row } from '#worker/platform/storage.ts'
import type { ReceiptState } from '#worker/protocols/ledger.ts'
import type { Rows } from './database.ts'
import { keyName } from './settlement-batch.ts'

export interface KeptReceipt {
  readonly id: Bytes32
  readonly state: ReceiptState
  readonly refusal: string | null
  readonly batchId: number | null
}

export interface NewReceipt {
  readonly id: Bytes32
  readonly domain: Domain
  readonly receipt: Receipt
  /** Null for the one that the tenant has named last. */
  readonly consumer: Address | null
  /** The rule that it breaks; null when it is to be paid. */
  readonly refusal: string | null
}

export type ReceiptStore = ReturnType<typeof createReceiptStore>

export function createReceiptStore(rows: Rows) {
  return {
    /** Leaves unknown ids out. */
    find(ids: readonly Bytes32[]): KeptReceipt[] {
      const query = `SELECT id, state, refusal, batch_id FROM receipts WHERE id ${AMONG}`
      return rows(query, JSON.stringify(ids)).map(toKept)
    },

    /** The jobs among these that have a receipt to be paid, or a paid one. */
    acceptedJobs(jobIds: readonly string[]): Set<string> {
      const query = `SELECT job_id FROM receipts WHERE state <> 'refused' AND job_id ${AMONG}`
      return new Set(rows(query, JSON.stringify(jobIds)).map((row) => String(row['job_id'])))
    },

    /**
     * @param hub which signed all of them
     * @param consumers who pays, by tenant, where a receipt names nobody
     */
    insert(
      receipts: readonly NewReceipt[],
      hub: PublicKey,
      consumers: ReadonlyMap<string, string>,
    ): void {
      if (receipts.length === 0) return
      const values = receipts.map((each) => valuesOf(each, consumers))
      rows(INSERT_RECEIPTS, keyName(hub), JSON.stringify(values))
    },

    /**
     * A tenant's newest address pays for its receipts that came without one.
     * @param named in order
     * @returns the newest address of each of these tenants that has named one
     */
    learnConsumers(
      named: readonly (readonly [tenant: string, consumer: Address | null])[],
    ): ReadonlyMap<string, string> {
      const tenants = JSON.stringify([...new Set(named.map(([tenant]) => tenant))])
      const query = `SELECT tenant, address FROM consumers WHERE tenant ${AMONG}`
      const known = new Map(
        rows(query, tenants).map((row) => [String(row['tenant']), String(row['address'])]),
      )
      const newest = new Map(known)
      for (const [tenant, consumer] of named)
        if (consumer !== null) newest.set(tenant, consumer.toLowerCase())
      for (const [tenant, address] of newest) {
        // Every receipt brings the address, and no receipt waits for a known one.
        if (known.get(tenant) === address) continue
        rows('INSERT OR REPLACE INTO consumers (tenant, address) VALUES (?, ?)', tenant, address)
        rows(
          `UPDATE receipts SET consumer = ?
            WHERE tenant = ? AND consumer IS NULL AND state = 'pending' AND batch_id IS NULL`,
          address,
          tenant,
        )
      }
      return newest
    },

    /** @param policies by their hash, which the caller has computed */
    keepPolicies(policies: ReadonlyMap<Bytes32, CompiledPolicy>): void {
      const query = `SELECT hash FROM policies WHERE hash ${AMONG}`
      const kept = rows(query, JSON.stringify([...policies.keys()])).map((row) => row['hash'])
      for (const [hash, policy] of policies) {
        if (kept.includes(hash)) continue
        const text = JSON.stringify(policy)
        rows('INSERT INTO policies (hash, policy) VALUES (?, ?)', hash, text)
      }
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

/** Bound to a JSON list. */
const AMONG = 'IN (SELECT value FROM json_each(?))'

/** Bound to the hub and to a JSON list of {@link valuesOf} lists, whose order the sequence keeps. */
const INSERT_RECEIPTS = `INSERT INTO receipts (hub, id, job_id, attempt, tenant, consumer, key, amount, policy_hash, country,
    domain, state, refusal)
  SELECT ?, value ->> 0, value ->> 1, value ->> 2, value ->> 3, value ->> 4, value ->> 5, value ->> 6, value ->> 7,
    value ->> 8, value ->> 9, value ->> 10, value ->> 11
  FROM json_each(?) ORDER BY key`

function valuesOf(
  { id, domain, receipt, consumer, refusal }: NewReceipt,
  consumers: ReadonlyMap<string, string>,
): (string | number | null)[] {
  const { ticket, receiptKey, amountMicroUsd } = receipt
  return [
    id,
    ticket.jobId,
    ticket.attempt,
    ticket.tenant,
    consumer?.toLowerCase() ?? consumers.get(ticket.tenant) ?? null,
    keyName(receiptKey),
    amountMicroUsd,
    ticket.policyHash,
    ticket.place.country,
    domainName(domain),
    refusal === null ? 'pending' : 'refused',
    refusal,
  ]
}

function toKept(row: Row): KeptReceipt {
  return {
    id: row['id'] as Bytes32,
    state: row['state'] as ReceiptState,
    refusal: row['refusal'] as string | null,
    batchId: row['batch_id'] as number | null,
  }
}
