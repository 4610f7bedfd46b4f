/** Receipts as rows: their own bytes as the hub sent them, and the hashes of what they share with others. */
import { bytesToHex } from 'viem'
import { signedReceipt } from '#shared/audit/receipt-group.ts'
import type { Bytes32 } from '#shared/base/ids.ts'
import type { CompiledPolicy } from '#shared/law/policy.ts'
import type { SignedPresence } from '#shared/node/node.ts'
import { decode, encode, struct, word } from '#shared/proof/encoding.ts'
import type { PublicKey } from '#shared/proof/signature.ts'
import { TREE_SIGNATURE, type TreeSignature } from '#shared/proof/tree-signature.ts'
import type { RecordedReceipt } from '#worker/protocols/tenant.ts'
import type { TenantDatabase } from '#worker/tenant/log/database.ts'
import type { ReadReceipt } from './read-group.ts'

type Rows = TenantDatabase['rows']
type Row = ReturnType<Rows>[number]

interface Signed {
  readonly nodeSignature: TreeSignature
  readonly hubSignature: TreeSignature
  readonly hubKey: PublicKey
}

const SIGNED = struct<Signed>({
  nodeSignature: TREE_SIGNATURE,
  hubSignature: TREE_SIGNATURE,
  hubKey: struct<PublicKey>({ x: word, y: word }),
})

/** @param receipts none of them kept yet */
export function insertReceipts(
  rows: Rows,
  receipts: readonly ReadReceipt[],
  hubKey: PublicKey,
): void {
  const parts: Uint8Array[] = []
  let size = 0
  /** SQLite counts bytes from 1. */
  const place = (bytes: Uint8Array): number => {
    parts.push(bytes)
    size += bytes.length
    return size - bytes.length + 1
  }
  const given = receipts.map(({ id, grouped, records, untilMs }) => {
    const { nodeSignature, hubSignature, receipt, salt } = grouped
    const signed = encode(SIGNED, { nodeSignature, hubSignature, hubKey })
    const { policy, presence } = records
    const ends = [place(receipt), receipt.length, place(signed), signed.length]
    return [id, ...ends, salt, policy.hash, presence.hash, untilMs]
  })
  rows(INSERT, joined(parts, size), JSON.stringify(given))
}

const INSERT = `INSERT INTO receipts (id, receipt, signed, salt, policy, presence, erase_at_ms)
  SELECT unhex(substr(value ->> 0, 3)), substr(?1, value ->> 1, value ->> 2), substr(?1, value ->> 3, value ->> 4),
    unhex(substr(value ->> 5, 3)), unhex(substr(value ->> 6, 3)), unhex(substr(value ->> 7, 3)), value ->> 8
  FROM json_each(?2)`

function joined(parts: readonly Uint8Array[], size: number): Uint8Array {
  const bytes = new Uint8Array(size)
  let at = 0
  for (const part of parts) {
    bytes.set(part, at)
    at += part.length
  }
  return bytes
}

/** The receipts with these ids that are kept at that time, in the order of the ids. */
export function readReceipts(
  rows: Rows,
  ids: readonly Bytes32[],
  nowMs: number,
): RecordedReceipt[] {
  const shared = createParser()
  return rows(FIND, JSON.stringify(ids), nowMs).map((row) => {
    const { nodeSignature, hubSignature, hubKey } = decode(SIGNED, bytesIn(row, 'signed'))
    const receipt = bytesIn(row, 'receipt')
    return {
      receipt: signedReceipt(
        { id: bytesToHex(bytesIn(row, 'id')), receipt, nodeSignature, hubSignature },
        {
          hubKey,
          policy: shared(row['policy']) as CompiledPolicy,
          presence: shared(row['presence']) as SignedPresence,
        },
      ),
      salt: bytesToHex(bytesIn(row, 'salt')),
    }
  })
}

const FIND = `SELECT r.id, r.receipt, r.signed, r.salt, p.record AS policy, n.record AS presence
  FROM json_each(?1) AS wanted JOIN receipts AS r ON r.id = unhex(substr(wanted.value, 3))
  JOIN named_records AS p ON p.kind = 'policy' AND p.hash = r.policy
  JOIN named_records AS n ON n.kind = 'presence' AND n.hash = r.presence
  WHERE r.erase_at_ms > ?2 ORDER BY wanted.key`

/** Our own object wrote the texts, so they need no schema. Equal texts become one object. */
function createParser(): (text: unknown) => unknown {
  const known = new Map<string, unknown>()
  return (value) => {
    const text = String(value)
    const parsed = known.get(text) ?? (JSON.parse(text) as unknown)
    known.set(text, parsed)
    return parsed
  }
}

function bytesIn(row: Row, column: string): Uint8Array {
  return new Uint8Array(row[column] as ArrayBuffer)
}

/** @returns the number of receipts that were there */
export function deleteReceipts(rows: Rows, ids: readonly Bytes32[]): number {
  if (ids.length === 0) return 0
  return rows(
    'DELETE FROM receipts WHERE id IN (SELECT unhex(substr(value, 3)) FROM json_each(?)) RETURNING 1',
    JSON.stringify(ids),
  ).length
}

/** Deletes receipts whose time has come. @returns their number, at most `most` */
export function deleteDue(rows: Rows, nowMs: number, most: number): number {
  const due = 'SELECT rowid FROM receipts WHERE erase_at_ms <= ? ORDER BY erase_at_ms LIMIT ?'
  return rows(`DELETE FROM receipts WHERE rowid IN (${due}) RETURNING 1`, nowMs, most).length
}

/** The first time at which a receipt is due. */
export const NEXT_DUE = 'SELECT min(erase_at_ms) FROM receipts'
