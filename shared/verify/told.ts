/** What entries of a log told, as 32 bytes each: enough to find the entry that says exactly what a receipt should be told of. */
import { stringToBytes } from 'viem'
import type { AuditType } from '../audit.ts'
import { canonicalJson } from '../canonical-json.ts'
import { sha256Hex } from '../sha256.ts'
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
  const told = new Map<string, Told>()
  return {
    add: (type: AuditType, detail: unknown, at: Told): void =>
      void told.set(keyOf(type, detail), at),

    find(type: AuditType, detail: unknown): Found | undefined {
      const found = told.get(keyOf(type, detail))
      return found === undefined ? undefined : { ...found, result: 'passed' }
    },
  }
}

function keyOf(type: AuditType, detail: unknown): string {
  return sha256Hex(stringToBytes(`${type} ${canonicalJson(detail)}`))
}
