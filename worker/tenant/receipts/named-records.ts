/**
 * What receipts name by its hash: policies, presence records, and records of evidence. Each stands here once, however many
 * receipts name it.
 */
import { stringToBytes } from 'viem'
import type { ReceiptGroup } from '#shared/audit/receipt-group.ts'
import { AppError } from '#shared/base/errors.ts'
import type { Bytes32 } from '#shared/base/ids.ts'
import { sha256Hex } from '#shared/base/native-crypto.ts'
import { policyHash } from '#shared/law/compile-policy.ts'
import type { CompiledPolicy } from '#shared/law/policy.ts'
import type { SignedPresence } from '#shared/node/node.ts'
import { evidenceHash, EvidenceRecord } from '#shared/place/evidence.ts'
import type { SignedReceipt } from '#shared/receipt/receipt.ts'
import type { TenantDatabase } from '#worker/tenant/log/database.ts'
import { jsonLists } from '#worker/tenant/log/json-lists.ts'
import type { TenantJobs } from '#worker/protocols/audit.ts'

type Rows = TenantDatabase['rows']

type RecordKind = 'policy' | 'presence' | 'evidence'

/** A record that a receipt names. */
export interface NamedRecord {
  readonly kind: RecordKind
  readonly hash: Bytes32
  readonly record: object
}

/** A group's records under the hashes that they really have. */
interface GroupRecords {
  /** @throws {AppError} invalid_request when the group lacks the policy */
  policy(hash: Bytes32): CompiledPolicy
  /** @throws {AppError} invalid_request when the group lacks the record */
  presence(index: number): NamedRecord
  /** Undefined where the group has no such record. */
  evidence(hash: Bytes32): NamedRecord | undefined
}

export function readRecords({ policies, presences, evidence }: ReceiptGroup): GroupRecords {
  const byHash = new Map(policies.map((policy) => [policyHash(policy), policy]))
  const named = presences.map((record) => nameRecord('presence', presenceHash(record), record))
  const records = new Map(evidence.map((record) => [evidenceHash(record), record]))
  return {
    policy(hash) {
      const policy = byHash.get(hash)
      return policy?.hash === hash ? policy : refuse(`the policy ${hash}`)
    },
    presence: (index) => named[index] ?? refuse(`presence record ${index}`),
    evidence(hash) {
      const record = records.get(hash)
      return record && nameRecord('evidence', hash, record)
    },
  }
}

export function nameRecord(kind: RecordKind, hash: Bytes32, record: object): NamedRecord {
  return { kind, hash, record }
}

function presenceHash({ record, signature }: SignedPresence): Bytes32 {
  return sha256Hex(stringToBytes(`${record} ${signature}`))
}

function refuse(what: string): never {
  const detail = `A receipt names ${what}, which its group does not have. Send both together.`
  throw new AppError('invalid_request', detail)
}

const HOUR_MS = 3_600_000

/** The records that receipts name, and until when the last of these receipts is kept. */
export class RecordUses {
  readonly #uses = new Map<string, NamedRecord & { untilMs: number }>()

  add(named: NamedRecord, receiptUntilMs: number): void {
    // In whole hours: a record that every job names is then rewritten once an hour.
    const untilMs = Math.ceil(receiptUntilMs / HOUR_MS) * HOUR_MS
    const name = `${named.kind} ${named.hash}`
    const known = this.#uses.get(name)
    if (known === undefined) this.#uses.set(name, { ...named, untilMs })
    else known.untilMs = Math.max(known.untilMs, untilMs)
  }

  /** Keeps each record at least that long; sends only those that are missing or would end too soon. */
  keep(rows: Rows): void {
    const uses = [...this.#uses.values()]
    const wanted = uses.map(({ kind, hash, untilMs }) => [kind, hash, untilMs])
    const due = rows(NOT_KEPT, JSON.stringify(wanted)).flatMap(
      (row) => uses[Number(row['key'])] ?? [],
    )
    const texts = due.map(({ record, ...use }) => [
      use.kind,
      use.hash,
      use.untilMs,
      JSON.stringify(record),
    ])
    for (const { json } of jsonLists(texts)) rows(KEEP, json)
  }
}

const NOT_KEPT = `SELECT wanted.key FROM json_each(?) AS wanted WHERE NOT EXISTS (
  SELECT 1 FROM named_records WHERE kind = wanted.value ->> 0 AND hash = unhex(substr(wanted.value ->> 1, 3))
    AND until_ms >= wanted.value ->> 2)`

const KEEP = `INSERT INTO named_records (kind, hash, until_ms, record)
  SELECT value ->> 0, unhex(substr(value ->> 1, 3)), value ->> 2, value ->> 3 FROM json_each(?) WHERE true
  ON CONFLICT DO UPDATE SET until_ms = max(until_ms, excluded.until_ms)`

/** The first time at which a record is due. */
export const NEXT_RECORD_DUE = 'SELECT min(until_ms) FROM named_records'

export function sweepRecords(rows: Rows, nowMs: number): void {
  rows('DELETE FROM named_records WHERE until_ms <= ?', nowMs)
}

/** The evidence records that these receipts' tickets name, where they are kept. */
export function readEvidence(
  rows: Rows,
  receipts: readonly SignedReceipt[],
): TenantJobs['evidence'] {
  const hashes = [...new Set(receipts.map(({ receipt }) => receipt.ticket.place.evidenceHash))]
  const query = `SELECT wanted.key, record FROM json_each(?) AS wanted JOIN named_records
    ON kind = 'evidence' AND hash = unhex(substr(wanted.value, 3)) ORDER BY wanted.key`
  return rows(query, JSON.stringify(hashes)).flatMap((row) => {
    const hash = hashes[Number(row['key'])]
    if (hash === undefined) return []
    return [{ hash, record: EvidenceRecord.parse(JSON.parse(String(row['record']))) }]
  })
}
