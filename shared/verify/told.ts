/** Remembers entries' details as 32-byte digests, to find the entry that says exactly what a receipt requires. */
import { stringToBytes } from 'viem'
import type { AuditType } from '#shared/audit/entries.ts'
import { canonicalJson } from '#shared/base/strict-json.ts'
import { sha256Bytes } from '#shared/base/native-crypto.ts'
import { DigestTable } from '#shared/audit/digest-table.ts'
import type { LineResult } from './line.ts'

export interface Told {
  readonly sequence: number
  /** When it was written, by the tenant's clock. */
  readonly atMs: number
}

export interface Found extends Told {
  readonly result: LineResult
}

export function createTold() {
  const told = new DigestTable()
  return {
    add: (type: AuditType, detail: unknown, { sequence, atMs }: Told): void =>
      told.set(keyOf(type, detail), [sequence, atMs]),

    find(type: AuditType, detail: unknown): Found | undefined {
      const found = told.get(keyOf(type, detail))
      return found && { sequence: found[0], atMs: found[1], result: 'passed' }
    },
  }
}

function keyOf(type: AuditType, detail: unknown): Uint8Array {
  return sha256Bytes(stringToBytes(`${type} ${canonicalJson(detail)}`))
}
