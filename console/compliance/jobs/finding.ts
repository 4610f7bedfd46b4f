/** The result of one check in a proof. */
import type { LineResult } from '#shared/verify/line.ts'

export interface Finding {
  readonly result: LineResult
  readonly text: string
}

export function finding(isOk: boolean, text: string): Finding {
  return { result: isOk ? 'passed' : 'failed', text }
}

/** The sign that stands before each result. */
export const SIGN_OF = {
  passed: 'passed',
  absent: 'open',
  simulated: 'warned',
  open: 'open',
  pending: 'open',
  missing: 'warned',
  failed: 'failed',
} as const satisfies Record<LineResult, string>
