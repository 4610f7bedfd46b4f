/** Batches on their way to the chain. Each version and each transaction is kept before it is sent. */
import type { Hex } from 'viem'
import { z } from 'zod'
import { TenantCheckpoint } from '#shared/audit/entries.ts'
import { domainName, type Domain } from '#shared/proof/domain.ts'
import type { Bytes32 } from '#shared/base/ids.ts'
import type { SettlementBatch } from '#worker/ledger/intake/settlement-batch.ts'
import type { SignedTransaction } from '#worker/ledger/chain/chain.ts'
import { numberIn, type DurableStorage, type Row } from '#worker/platform/storage.ts'
import type { Rows } from '#worker/ledger/intake/database.ts'

export type SettlementBatchState = 'posting' | 'posted' | 'settled' | 'dropped'

/** One version of a batch. */
export interface KeptSettlementBatch {
  readonly id: number
  readonly attempt: number
  readonly state: SettlementBatchState
  readonly leaves: readonly Bytes32[]
  readonly receiptRoot: Bytes32
  readonly earnedMicroUsd: bigint
  readonly calldata: Hex
  readonly transactionHash: Bytes32 | null
  readonly blockNumber: number | null
}

export interface KeptTransaction extends SignedTransaction {
  readonly attempt: number
  readonly nonce: number
  readonly gas: bigint
  readonly maxFeePerGas: bigint
  readonly maxPriorityFeePerGas: bigint
  readonly sentAtMs: number
}

/** The version of a batch that landed, and its block. */
export interface Landing {
  readonly id: number
  readonly attempt: number
  readonly transactionHash: Bytes32
  readonly blockNumber: number
}

const Checkpoints = z.array(TenantCheckpoint)

export type SettlementBatchStore = ReturnType<typeof createSettlementBatchStore>

export function createSettlementBatchStore(
  rows: Rows,
  storage: Pick<DurableStorage, 'transactionSync'>,
) {
  return {
    /** Tells whether the batches here are for this chain and contract. The first domain asked for binds them for good. */
    isFor(domain: Domain): boolean {
      const name = domainName(domain)
      const [row] = rows('SELECT domain FROM bound_to')
      if (row === undefined) rows('INSERT INTO bound_to (domain) VALUES (?)', name)
      return row === undefined || row['domain'] === name
    },

    /** Keeps a new version and its first transaction, both or neither, and assigns its receipts to it. */
    open(batch: SettlementBatch, transaction: Omit<KeptTransaction, 'attempt'>): void {
      storage.transactionSync(() => {
        const versions = numberIn(rows('SELECT COUNT(*) FROM batches WHERE id = ?', batch.id)) ?? 0
        const attempt = versions + 1
        rows(
          `INSERT INTO batches (id, attempt, state, leaves, receipt_root, earnings_root, earned, calldata, created_at_ms)
            VALUES (?, ?, 'posting', ?, ?, ?, ?, ?, ?)`,
          batch.id,
          attempt,
          JSON.stringify(batch.leaves),
          batch.receiptRoot,
          batch.earningsRoot,
          batch.earnedMicroUsd.toString(),
          batch.calldata,
          transaction.sentAtMs,
        )
        const checkpoints = JSON.stringify(batch.checkpoints)
        const keepLogs = 'INSERT INTO batch_logs (id, attempt, checkpoints) VALUES (?, ?, ?)'
        rows(keepLogs, batch.id, attempt, checkpoints)
        assignReceipts(rows, batch, 'pending')
        insertTransaction(rows, batch.id, { ...transaction, attempt })
      })
    },

    addTransaction: (batchId: number, transaction: KeptTransaction) =>
      insertTransaction(rows, batchId, transaction),

    /** The oldest unsettled batch, in the version that may still land. */
    current(): KeptSettlementBatch | undefined {
      const query = `SELECT * FROM batches WHERE state IN ('posting', 'posted') ORDER BY id, attempt DESC LIMIT 1`
      return rows(query).map(toKept)[0]
    },

    settled(id: number): KeptSettlementBatch | undefined {
      return rows("SELECT * FROM batches WHERE id = ? AND state = 'settled'", id).map(toKept)[0]
    },

    /** The log checkpoints of one version, in the order of their leaves. */
    checkpoints({ id, attempt }: Pick<KeptSettlementBatch, 'id' | 'attempt'>): TenantCheckpoint[] {
      const query = 'SELECT checkpoints FROM batch_logs WHERE id = ? AND attempt = ?'
      const [row] = rows(query, id, attempt)
      return row === undefined ? [] : Checkpoints.parse(JSON.parse(String(row['checkpoints'])))
    },

    lastId: (): number =>
      numberIn(rows("SELECT MAX(id) FROM batches WHERE state <> 'dropped'")) ?? 0,

    versions(id: number): KeptSettlementBatch[] {
      return rows('SELECT * FROM batches WHERE id = ? ORDER BY attempt', id).map(toKept)
    },

    transactions(id: number): KeptTransaction[] {
      const query = 'SELECT * FROM transactions WHERE batch_id = ? ORDER BY sequence'
      return rows(query, id).map(toTransaction)
    },

    markPosted({ id, attempt, transactionHash, blockNumber }: Landing): void {
      rows(
        `UPDATE batches SET state = 'posted', transaction_hash = ?, block_number = ? WHERE id = ? AND attempt = ?`,
        transactionHash,
        blockNumber,
        id,
        attempt,
      )
    },

    count: (state: SettlementBatchState): number =>
      numberIn(rows('SELECT COUNT(*) FROM batches WHERE state = ?', state)) ?? 0,

    /** Batches that were not dropped, newest first. */
    newest(limit: number): KeptSettlementBatch[] {
      const query = "SELECT * FROM batches WHERE state <> 'dropped' ORDER BY id DESC LIMIT ?"
      return rows(query, limit).map(toKept)
    },
  }
}

/** Puts the receipts of a version into its batch. */
export function assignReceipts(
  rows: Rows,
  { id, leaves }: Pick<KeptSettlementBatch, 'id' | 'leaves'>,
  state: 'pending' | 'settled',
): void {
  const change = `UPDATE receipts SET state = ?, batch_id = ? WHERE id IN (SELECT value FROM json_each(?))`
  rows(change, state, id, JSON.stringify(leaves))
}

function insertTransaction(rows: Rows, batchId: number, transaction: KeptTransaction): void {
  rows(
    `INSERT OR IGNORE INTO transactions (hash, batch_id, attempt, nonce, gas, max_fee, priority_fee, raw, sent_at_ms)
      VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)`,
    transaction.hash,
    batchId,
    transaction.attempt,
    transaction.nonce,
    transaction.gas.toString(),
    transaction.maxFeePerGas.toString(),
    transaction.maxPriorityFeePerGas.toString(),
    transaction.raw,
    transaction.sentAtMs,
  )
}

export function toKept(row: Row): KeptSettlementBatch {
  return {
    id: Number(row['id']),
    attempt: Number(row['attempt']),
    state: row['state'] as SettlementBatchState,
    leaves: JSON.parse(String(row['leaves'])) as Bytes32[],
    receiptRoot: row['receipt_root'] as Bytes32,
    earnedMicroUsd: BigInt(String(row['earned'])),
    calldata: row['calldata'] as Hex,
    transactionHash: row['transaction_hash'] as Bytes32 | null,
    blockNumber: row['block_number'] as number | null,
  }
}

function toTransaction(row: Row): KeptTransaction {
  return {
    hash: row['hash'] as Bytes32,
    raw: row['raw'] as Hex,
    attempt: Number(row['attempt']),
    nonce: Number(row['nonce']),
    gas: BigInt(String(row['gas'])),
    maxFeePerGas: BigInt(String(row['max_fee'])),
    maxPriorityFeePerGas: BigInt(String(row['priority_fee'])),
    sentAtMs: Number(row['sent_at_ms']),
  }
}
